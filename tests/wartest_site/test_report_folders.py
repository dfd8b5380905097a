"""A folder that cannot be written never costs a verdict: it is said before anything starts, or after the verdict."""

import errno
import importlib
import os
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from django.core.management import call_command

from gates import reports
from gates.detection.judgement import Judged
from wartest_site import manual_audit
from wartest_site.embedded.children import CannotStartError
from wartest_site.management.commands import rehearse_defect
from wartest_site.report_folders import demand_writable, name_file

COMMANDS = {
    "run_72_hour_test": (),
    "run_chaos_scenarios": (),
    "run_manual_audit": (),
    "run_phase_7": (),
    "run_live_capital_test": (),
    "rehearse_defect": ("blind-retry",),
}
STARTS = {"background_stack", "portal_database"}
CRITERION = {"name": "one", "verdict": "failed", "measured": "1", "required": "0", "reason": ""}
CONTENT = {
    "run": 7,
    "verdict": "failed",
    "criteria": [CRITERION],
    "scenarios": [],
    "chaos": {"sampled": None, "mode": "full"},
    "capital": {"performance": None},
}


def module_of(command):
    return importlib.import_module(f"wartest_site.management.commands.{command}")


def never(*_args, **_options):
    raise AssertionError("Something was started.")


def full(*_args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def ended(capsys):
    """Run a command; its exit code, standard output and standard error."""

    def run(command, *arguments):
        with pytest.raises(SystemExit) as end:
            call_command(command, *arguments)
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_said_before_anything_is_started(ended, monkeypatch, tmp_path, command):
    module = manual_audit if command == "run_manual_audit" else module_of(command)
    for start in STARTS & set(vars(module)):
        monkeypatch.setattr(module, start, never)
    (tmp_path / "file").write_text("")
    code, out, err = ended(command, *COMMANDS[command], "--reports-dir", str(tmp_path / "file" / "reports"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "cannot be written (Not a directory): name another with --reports-dir" in err


@pytest.mark.parametrize("command", ["run_72_hour_test", "run_chaos_scenarios", "run_live_capital_test"])
def test_at_the_end_the_verdict_and_its_exit_code_stand_without_the_file(ended, monkeypatch, tmp_path, command):
    module, run = module_of(command), Mock(pk=7)
    monkeypatch.setattr(module, "background_stack", nullcontext)
    monkeypatch.setattr(module, "target_named", lambda name: name)
    for start in {"start_once_it_answers", "start_chaos", "start_live"} & set(vars(module)):
        monkeypatch.setattr(module, start, lambda *_, **__: run)
    report = SimpleNamespace(content=CONTENT, verdict="failed")
    monkeypatch.setattr(module.Command, "_follow", lambda *_: report)
    monkeypatch.setattr(reports, "write_file", full)
    code, out, err = ended(command, "--reports-dir", str(tmp_path))
    assert code == 1
    assert "Run 7: failed" in out
    assert err.count("\n") == 1
    assert "was not written (No space left on device)" in err


def test_a_campaigns_verdict_stands_too(ended, monkeypatch, tmp_path):
    module, campaign = module_of("run_phase_7"), SimpleNamespace(pk=3, signable=True)
    for name, stand_in in (
        ("background_stack", nullcontext),
        ("target_named", str),
        ("start_once_it_answers", lambda *_, **__: Mock()),
        ("Report", Mock(objects=Mock(filter=lambda **_: Mock(order_by=lambda _: [1])))),
        ("Campaign", Mock(objects=Mock(get=lambda **_: campaign))),
    ):
        monkeypatch.setattr(module, name, stand_in)
    report = SimpleNamespace(content=CONTENT, verdict="inconclusive")
    monkeypatch.setattr(module.Command, "_follow", lambda *_: report)
    monkeypatch.setattr(reports, "write_file", full)
    code, out, err = ended("run_phase_7", "--reports-dir", str(tmp_path))
    assert (code, out.splitlines()[-1]) == (3, "Campaign 3: inconclusive.")
    assert "was not written" in err


def test_a_rehearsals_verdict_stands_too(monkeypatch, capsys, tmp_path):
    rehearsal = Mock(CHAOS=2)
    rehearsal.own_server = rehearsal.own_places = lambda *_, **__: nullcontext()
    rehearsal.rehearse = lambda *_: []
    rehearsal.judge_clean = lambda *_: Judged()
    monkeypatch.setattr(rehearse_defect, "rehearsal", rehearsal)
    for name in ("begin_rehearsal", "end_rehearsal", "report"):
        monkeypatch.setattr(rehearse_defect, name, Mock())
    monkeypatch.setattr(rehearse_defect, "portal_database", lambda: nullcontext(""))
    monkeypatch.setattr(rehearse_defect, "_write", full)
    with pytest.raises(SystemExit) as end:
        call_command("rehearse_defect", "blind-retry", "--reports-dir", str(tmp_path))
    said = capsys.readouterr()
    assert end.value.code == 3
    assert "defects: " in said.out
    assert "was not written" in said.err


def test_a_folder_is_made_and_left_empty(tmp_path):
    folder = tmp_path / "new" / "reports"
    assert demand_writable(folder) == folder
    assert list(folder.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStartError, match="cannot be written"):
        demand_writable(tmp_path / "file")


def test_the_file_is_named_once_it_is_written(capsys):
    named: list[str] = []
    name_file(lambda: Path("reports/one.json"), named.append)
    assert (named, capsys.readouterr().err) == (["reports/one.json"], "")
