"""A leak that shows over a run is found by one of its health slots, from the rows of those before."""

from datetime import timedelta

import pytest

from audits.verdicts import Verdict
from gates import engine, stepping
from gates.checks import health
from gates.checks.growth import RULE
from gates.checks.outcome import Outcome
from gates.models import Slot
from tests.gates.cast import a_run

pytestmark = pytest.mark.django_db


def fill_health(run, memory):
    """Every health slot but the last has passed, its memory as told; the last one."""
    *before, last = run.slots.filter(check_name="health").order_by("due_at")
    for number, slot in enumerate(before):
        claimed = engine.claim(slot.pk, worker="a", now=slot.due_at)
        outcome = Outcome(Verdict.PASSED, "", {"memory_mib": memory(number), "handles": 20, "threads": 4})
        engine.record(claimed, outcome, started_at=slot.due_at, now=slot.due_at + timedelta(seconds=1))
    return Slot.objects.get(pk=last.pk)


def outcome_of(monkeypatch, slot, memory_mib):
    seen = {"memory_mib": memory_mib, "handles": 20, "threads": 4}
    monkeypatch.setattr(health, "observe", lambda _: seen)
    monkeypatch.setattr(health, "judge", lambda figures, _: Outcome(Verdict.PASSED, "", figures))
    monkeypatch.setattr(stepping, "LOOKS_BACK", 10_000)  # at every slot
    return stepping.CHECKS["health"](slot, None)


def test_memory_that_rises_over_the_whole_run_fails_its_health(monkeypatch):
    slot = fill_health(a_run(profile="rehearsal"), lambda number: 70 + 2 * number)
    outcome = outcome_of(monkeypatch, slot, 200)
    assert (outcome.verdict, [finding.rule for finding in outcome.findings]) == (Verdict.FAILED, [RULE])


def test_memory_that_stays_passes(monkeypatch):
    slot = fill_health(a_run(profile="rehearsal"), lambda number: 70 + number % 3)
    assert outcome_of(monkeypatch, slot, 71).verdict == Verdict.PASSED


def test_growth_is_looked_at_a_few_times_in_a_run_only():
    slots = a_run(profile="rehearsal").slots.filter(check_name="health")
    looking = sum(stepping._looks_back(slot) for slot in slots)
    assert 0 < looking <= stepping.LOOKS_BACK + 6 < slots.count()
