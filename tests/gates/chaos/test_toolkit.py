"""A user's own Chaos Toolkit experiment that uses our actions and probes, run by Chaos Toolkit itself."""

import pytest
from chaoslib.exceptions import ActivityFailed
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment

from audits.snapshot import take_snapshot
from gates.chaos.toolkit.actions import run_scenario
from tests.audits.books import BooksBroker, clean_books


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
