"""Stepping: a woken worker does what is due, one slot after another, and stops in time."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.db import InterfaceError, OperationalError

from audits.verdicts import Verdict
from gates import engine, stepping
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


@pytest.fixture
def away(monkeypatch):
    """A health check that meets our own database away as often as the list has entries; which slots it was done for."""
    times, done = [], []

    def health(slot, _):
        done.append(slot)
        if times:
            raise times.pop()
        return Outcome(Verdict.PASSED)

    monkeypatch.setitem(stepping.CHECKS, "health", health)
    monkeypatch.setattr(stepping, "access", lambda spec: None)
    monkeypatch.setattr(stepping, "connection", SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(stepping, "RECORD_PAUSES_S", (0.0, 0.0))
    return times, done


def health_slot():
    slot = a_run().slots.filter(check_name="health").order_by("due_at").first()
    return engine.claim(slot.pk, worker="a", now=slot.due_at)


def test_a_check_that_our_own_database_interrupts_is_done_anew_and_judges_the_target_alone(away):
    times, done = away
    times += [OperationalError("the server closed the connection"), InterfaceError("connection already closed")]
    slot = health_slot()
    with time_machine.travel(slot.due_at, tick=True):
        assert stepping.step(slot)
    slot.refresh_from_db()
    assert (slot.verdict, len(done)) == ("passed", 3)


def test_a_check_that_never_could_be_done_for_want_of_our_own_database_is_no_evidence_of_anything(away):
    times, done = away
    times += [OperationalError("the server closed the connection")] * 3
    slot = health_slot()
    with time_machine.travel(slot.due_at, tick=True), pytest.raises(OperationalError):
        stepping.step(slot)
    slot.refresh_from_db()
    assert (slot.state, slot.verdict, len(done)) == ("due", None, 3)
