"""A user's own Chaos Toolkit experiment that uses our actions and probes, run by Chaos Toolkit itself."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from chaoslib.exceptions import ActivityFailed
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment

from audits.snapshot import take_snapshot
from gates.chaos.cells.families import MARK, family_of
from gates.chaos.cells.folders import sweep
from gates.chaos.cells.processes import NOBODY
from gates.chaos.engine.healing import end_target
from gates.chaos.strikes.experiments import unproven
from gates.chaos.toolkit.actions import run_scenario
from tests.audits.books import BooksBroker, clean_books

ROOT = Path(__file__).parents[3]


def an_experiment(snapshot):
    books = {
        "type": "python",
        "module": "gates.chaos.toolkit.probes",
        "func": "verdict_of_snapshot",
        "arguments": {"snapshot": str(snapshot)},
    }
    probe = {"type": "probe", "name": "the books are right", "tolerance": "passed", "provider": books}
    return {
        "title": "The books stay right",
        "description": "Whatever happens.",
        "steady-state-hypothesis": {"title": "The books are right", "probes": [probe]},
        "method": [],
    }


@pytest.mark.parametrize(("spoiled", "met"), [(0, True), (1, False)])
def test_the_books_are_a_steady_state(tmp_path, monkeypatch, spoiled, met):
    monkeypatch.chdir(tmp_path)
    books = clean_books()
    books.rows("balance_events")[0]["amount"] += spoiled
    take_snapshot(books, BooksBroker(books), tmp_path / "snapshot", tie_limit_s=0)
    experiment = an_experiment(tmp_path / "snapshot")
    ensure_experiment_is_valid(experiment)
    journal = run_experiment(experiment, settings={})
    assert journal["steady_states"]["before"]["steady_state_met"] is met


def test_an_action_that_cannot_start_fails_with_the_commands_words():
    with pytest.raises(ActivityFailed, match="run_chaos_scenarios could not start"):
        run_scenario("kill_during_trade_open", target="--help")


def runner(path):
    """Chaos Toolkit's own process, whose journal is beside the experiment."""
    return (sys.executable, "-m", "gates.chaos.toolkit", str(path), str(path.with_name("journal.json")))


@pytest.fixture
def touching(tmp_path):
    """An experiment whose one action leaves a file, waiting for the word, and that file."""
    struck = tmp_path / "struck"
    touch = {"type": "process", "path": "touch", "arguments": str(struck)}
    method = [{"type": "action", "name": "strike", "provider": touch}]
    path = tmp_path / "touch.json"
    path.write_text(json.dumps({"title": "Touch", "description": "A file.", "method": method, "rollbacks": []}))
    pipe = subprocess.PIPE
    process = subprocess.Popen(runner(path), cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
    with process:
        assert process.stdout.readline() == b"ready\n"
        yield process, struck
        process.kill()


def test_an_experiment_strikes_on_the_word_of_its_owner(touching):
    process, struck = touching
    process.communicate(b"go\n", timeout=60)
    assert (process.returncode, struck.exists()) == (0, True)


def test_what_an_experiment_broke_is_undone_though_its_last_probe_cannot_be_made(tmp_path):
    looked_at, undone = tmp_path / "well", tmp_path / "undone"
    looked_at.touch()

    def runs(name, path, argument):
        provider = {"type": "process", "path": path, "arguments": str(argument)}
        return {"type": "action", "name": name, "provider": provider}

    size = {"type": "python", "module": "os.path", "func": "getsize", "arguments": {"filename": str(looked_at)}}
    probe = {"type": "probe", "name": "well", "tolerance": 0, "provider": size}
    told = {
        "title": "It breaks",
        "description": "And is mended.",
        "steady-state-hypothesis": {"title": "It is well", "probes": [probe]},
        "method": [runs("break it", "rm", looked_at)],
        "rollbacks": [runs("mend it", "touch", undone)],
    }
    (tmp_path / "breaks.json").write_text(json.dumps(told))
    assert subprocess.run(runner(tmp_path / "breaks.json"), cwd=ROOT, input=b"go\n", check=False).returncode == 0
    journal = json.loads((tmp_path / "journal.json").read_text())
    assert (journal["status"], undone.exists(), unproven(journal)) == ("failed", True, "")


@pytest.mark.parametrize("end", ["its owner is gone", "it is asked to end"])
def test_an_experiment_without_the_word_strikes_nothing(touching, end):
    process, struck = touching
    if end == "its owner is gone":
        process.stdin.close()
    else:
        process.terminate()
    assert (process.wait(60), struck.exists()) == (2, False)


AN_ENGINE = """
import asyncio, os, signal, sys
from pathlib import Path
from types import SimpleNamespace as Some
from gates.chaos.cells.folders import private_folder
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.strikes.experiments import experiment
from gates.chaos.trials import Trial

async def strike(path, mark, folder):
    target = Some(process=None, program=Some(ready=""), alive=True)
    premises = Some(simulator=Some(url=""), folder=folder)
    cell = Some(target=target, ledger_url="", premises=premises, experiment_mark=mark, secrets=())
    point = Point(Channel.LEDGER, Direction.REQUEST, "BEGIN", 1)
    trial = Trial("open", point, Strike.EXPERIMENT, {"experiment": path, "limit_ms": 60_000})
    async with experiment(cell, trial, point) as follow:
        going = asyncio.create_task(follow(None))
        while not Path(path).with_name("struck").exists():
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)

with private_folder() as folder:
    asyncio.run(strike(*sys.argv[1:], folder))
"""


@pytest.fixture
def striking(tmp_path):
    """An experiment whose action goes on for minutes with a process of its own, and rolls back; and its mark."""

    def runs(name, script):
        provider = {"type": "process", "path": "sh", "arguments": ["-c", script]}
        return {"type": "action", "name": name, "provider": provider}

    struck, undone, mark = tmp_path / "struck", tmp_path / "undone", f"mark-of-{tmp_path.name}-{os.getpid()}"
    told = {
        "title": "It goes on",
        "description": "Whatever becomes of its engine.",
        "method": [runs("break it", f"touch {struck}; sleep 600; true")],
        "rollbacks": [runs("mend it", f"sleep 0.5; touch {undone}")],
    }
    (tmp_path / "lasting.json").write_text(json.dumps(told))
    yield tmp_path / "lasting.json", struck, undone, mark
    for pid, _ in family_of((NOBODY, 0), mark):
        os.kill(pid, signal.SIGKILL)


def seen(what, limit_s=60):
    """Wait until it is so; whether it came to be."""
    ends = time.monotonic() + limit_s
    while not (found := what()) and time.monotonic() < ends:
        time.sleep(0.05)
    return found


def test_an_experiment_whose_engine_is_killed_ends_and_rolls_back_and_its_folder_is_swept(striking, monkeypatch):
    path, struck, undone, mark = striking
    temporary = path.with_name("temporary")
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    argv, env = (sys.executable, "-c", AN_ENGINE, str(path), mark), os.environ | {"TMPDIR": str(temporary)}
    engine = subprocess.run(argv, cwd=ROOT, env=env, check=False, timeout=60)
    assert (engine.returncode, struck.exists()) == (-signal.SIGKILL, True)
    assert seen(undone.exists)
    asyncio.run(end_target({"experiment_mark": mark}))
    assert family_of((NOBODY, 0), mark) == []
    assert len(sweep()) == 1
    assert list(temporary.iterdir()) == []


def test_whoever_heals_ends_an_experiment_that_goes_on_and_lets_it_roll_back(striking):
    path, struck, undone, mark = striking
    with subprocess.Popen(
        runner(path), cwd=ROOT, env=os.environ | {MARK: mark}, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        process.stdin.write(b"go\n")
        process.stdin.flush()
        assert seen(struck.exists)
        asyncio.run(end_target({"experiment_mark": mark}))
        ended = process.poll()
        process.kill()
        assert (ended, undone.exists()) == (0, True)
    assert family_of((NOBODY, 0), mark) == []
