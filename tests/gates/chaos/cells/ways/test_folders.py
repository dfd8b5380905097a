"""What a killed engine left in its folder is swept by the next one; what others hold is not."""

import os
import tempfile
from pathlib import Path

import pytest

from gates.chaos.cells.folders import _locked, _mine, private_folder, sweep
from gates.chaos.cells.processes import start_ticks


def test_only_folders_of_dead_makers_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pid, ticks = os.getpid(), start_ticks(os.getpid())
    left = tmp_path / f"{_mine()}{pid}-{ticks - 1}-left"  # the same number, another life
    held = tmp_path / f"{_mine()}{pid}-{ticks - 2}-held"  # as by one whose processes are counted elsewhere
    others = tmp_path / f"wartest-chaos-elsewhere-{pid}-1-x"
    for folder in (left, held, others):
        folder.mkdir()
        (folder / "settings.json").write_text("secret")
    with _locked(held), private_folder() as mine:
        assert not left.exists()
        assert held.exists()
        assert (mine.stat().st_mode & 0o777, mine.exists()) == (0o700, True)
        assert sweep() == []
        assert mine.exists()
    assert sweep() == [held]
    assert not mine.exists()
    assert others.exists()
