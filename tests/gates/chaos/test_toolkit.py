"""A user's own Chaos Toolkit experiment that uses our actions and probes, run by Chaos Toolkit itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chaoslib.exceptions import ActivityFailed
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment

from audits.snapshot import take_snapshot
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
