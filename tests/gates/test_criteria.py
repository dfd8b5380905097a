from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from audits.verdicts import Verdict
from gates.criteria import Judged, criteria, verdict_of
from gates.plans import plan_for

SMOKE = plan_for("smoke")
CHECKS = ("health", "positions", "integrity", "stops")
TOUCHED = {"touches": 3, "executed": 3}
CLEAN = tuple(Judged(name, "done", "passed", TOUCHED if name == "stops" else {}) for name in CHECKS)


def with_stops(**measured):
    return [replace(slot, measured=measured) if slot.check_name == "stops" else slot for slot in CLEAN]


def judged(slots, events=()):
    return verdict_of(criteria(SMOKE, slots, events))


def test_clean_slots_with_enough_touches_pass():
    assert judged(CLEAN) == Verdict.PASSED


def test_a_run_without_slots_is_inconclusive():
    assert judged(()) == Verdict.INCONCLUSIVE


@given(st.sampled_from(range(len(CHECKS))))
def test_a_hole_in_any_check_is_inconclusive(index):
    slots = list(CLEAN)
    slots.append(Judged(CHECKS[index], "hole", "inconclusive", {}))
    assert judged(slots) == Verdict.INCONCLUSIVE


@given(st.sampled_from(range(len(CHECKS))))
def test_a_check_without_any_slot_is_inconclusive(index):
    assert judged(CLEAN[:index] + CLEAN[index + 1 :]) == Verdict.INCONCLUSIVE


@given(st.sampled_from(range(len(CHECKS))))
def test_one_failed_slot_fails_the_run(index):
    slots = list(CLEAN)
    slots.append(replace(CLEAN[index], verdict="failed", findings=(("rule", "critical"),)))
    assert judged(slots) == Verdict.FAILED


def test_too_few_touches_are_inconclusive_and_say_how_many_are_needed():
    slots = with_stops(touches=2, executed=2)
    table = criteria(SMOKE, slots, ())
    stops = next(row for row in table if row.name == "stops executed")
    assert stops.verdict == Verdict.INCONCLUSIVE
    assert "a pass needs 3" in stops.reason


def test_a_touch_without_execution_fails_even_when_the_slot_says_passed():
    slots = with_stops(touches=3, executed=2)
    assert judged(slots) == Verdict.FAILED


def test_a_death_between_two_health_slots_fails_the_run():
    assert judged(CLEAN, (("target died", "critical"),)) == Verdict.FAILED


def test_an_intervention_fails_the_run():
    assert judged(CLEAN, (("intervention", ""),)) == Verdict.FAILED
