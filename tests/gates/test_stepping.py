"""Stepping: a woken worker does what is due, one slot after another, and stops in time."""

from datetime import timedelta

import pytest
import time_machine

from audits.verdicts import Verdict
from gates import stepping
from gates.checks.outcome import Outcome
from tests.gates.cast import START, a_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def looked(monkeypatch):
    """Every check passes and notes its slot; returns the notes."""
    seen = []

    def outcome(slot):
        seen.append(slot)
        return Outcome(Verdict.PASSED)

    monkeypatch.setattr(stepping, "_outcome", outcome)
    return seen


def test_a_woken_worker_does_everything_that_is_due_in_order_of_time(looked):
    run = a_run()
    with time_machine.travel(START + timedelta(seconds=9), tick=True):
        closed = stepping.step_for(5, worker="a")
    assert closed == len(looked) == run.slots.filter(state="done", verdict="passed").count() > 4
    assert [slot.due_at for slot in looked] == sorted(slot.due_at for slot in looked)
    assert not run.slots.filter(state="due", due_at__lte=START + timedelta(seconds=9)).exists()


def test_a_worker_begins_nothing_when_its_time_is_over(looked):
    a_run()
    with time_machine.travel(START + timedelta(seconds=9), tick=True):
        assert stepping.step_for(0, worker="a") == 0
    assert looked == []
