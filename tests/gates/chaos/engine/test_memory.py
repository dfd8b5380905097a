"""What stands for another strike does so only where both have left the same state, noise and all."""

from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync

from audits.verdicts import Verdict
from gates.chaos.engine import running
from gates.chaos.engine.memory import Memory
from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.trying import Judged
from gates.models import ChaosRun
from tests.gates.chaos.runs import REPLAY, started


def test_a_recovery_is_taken_once_until_it_is_forgotten_and_its_verdict_is_kept():
    memory = Memory()
    first, second = (
        SimpleNamespace(pk=number, scenario_id=1, operation="open", then_point="", half_open=False) for number in (1, 2)
    )
    assert memory.takes(first, "one")
    memory.keep(first, Result(Verdict.PASSED, after_kill="alike", exact="one"))
    assert (memory.takes(second, "one"), memory.takes(second, "other")) == (False, True)
    assert memory.judged(second) == {"one": Judged(1, Verdict.PASSED, "")}
    memory.forget(first)
    assert memory.takes(second, "one")


@pytest.fixture
def owing(desk_target, monkeypatch):
    """Let an engine plan the second strikes of kills at three messages, which left these states; which of them owe
    any.
    """

    async def recorded(cell, trial, clean, result):
        return [trial]

    async def nothing(*args):
        return None

    monkeypatch.setattr(running, "second_strikes", recorded)
    monkeypatch.setattr(running.Engine, "_clean", nothing)
    monkeypatch.setattr(running.sampling, "chosen", lambda trials, chaos: trials)
    run = started(desk_target, REPLAY, depth=2)
    chaos, scenario = ChaosRun.objects.select_related("run__campaign__target").get(run=run), run.scenarios.get()
    fields = {"operation": "replay", "label": "l", "position": 0, "strike": "kill before"}

    def plan(*exact):
        mine, owed = running.Engine(chaos, "here:1:1", None), []
        for number, each in enumerate(exact, start=1):
            at = f"ledger:request:{number}:BEGIN"
            point = scenario.crash_points.create(number=number, point=at, **fields)
            result = Result(Verdict.PASSED, after_kill="alike", exact=each)
            owed.append(bool(async_to_sync(mine._seconds)(None, point, result)))
        return owed

    return plan


def test_kills_whose_states_are_alike_but_for_noise_each_owe_their_second_strikes(owing):
    assert owing("before the journal line", "after it", "after it") == [True, True, False]


def test_kills_that_left_exactly_one_state_owe_them_once(owing):
    assert owing("alike", "alike", "alike") == [True, False, False]


def test_kills_of_which_nothing_exact_is_said_each_owe_them(owing):
    assert owing("", "", "one") == [True, True, True]
