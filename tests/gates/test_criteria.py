from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.verdicts import Verdict
from gates.criteria import Gap, Judged, criteria, verdict_of
from gates.plans import CONFIGURABLE, plan_for

SMOKE = plan_for("smoke")
CHECKS = ("health", "positions", "integrity", "stops", "hands")
MEASURED = {
    "stops": {"touches": 3, "executed": 3},
    "positions": {"reconciliations": 1, "reconciliation_mismatches": 0},
}
CLEAN = tuple(Judged(name, "done", "passed", MEASURED.get(name, {})) for name in CHECKS)


def with_measured(check_name, verdict="passed", **measured):
    return [
        replace(slot, verdict=verdict, measured=measured) if slot.check_name == check_name else slot for slot in CLEAN
    ]


def with_stops(**measured):
    return with_measured("stops", **measured)


def line(name, slots, events=()):
    return next(row for row in criteria(SMOKE, slots, events) if row.name == name)


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
    slots.append(replace(CLEAN[index], verdict="failed"))
    assert judged(slots) == Verdict.FAILED


def test_too_few_touches_are_inconclusive_and_say_how_many_are_needed():
    slots = with_stops(touches=2, executed=2)
    stops = line("stops executed", slots)
    assert stops.verdict == Verdict.INCONCLUSIVE
    assert "a pass needs 3" in stops.reason


def test_a_touch_without_execution_fails_even_when_the_slot_says_passed():
    slots = with_stops(touches=3, executed=2)
    assert judged(slots) == Verdict.FAILED


def test_the_table_says_every_limit_and_minimum_that_a_description_may_set():
    plan = SMOKE.with_evidence(dict(zip(CONFIGURABLE, range(101, 999), strict=False)))
    told = " ".join(row.required for row in criteria(plan, CLEAN, ()))
    assert [name for name in CONFIGURABLE if str(getattr(plan, name)) not in told] == []


def test_a_death_between_two_health_slots_fails_the_run():
    assert judged(CLEAN, (("target died", "critical"),)) == Verdict.FAILED


def test_an_intervention_fails_the_run():
    assert judged(CLEAN, (("intervention", ""),)) == Verdict.FAILED


def test_a_touch_whose_time_limit_was_not_over_is_inconclusive_and_no_accusation():
    slots = with_measured("stops", "inconclusive", touches=4, executed=3)
    assert line("stops executed", slots).verdict == Verdict.INCONCLUSIVE


@pytest.mark.parametrize("measured", [{}, {"reconciliations": 0}])
def test_a_target_that_never_reconciled_is_inconclusive_however_equal_the_books_are(measured):
    criterion = line("zero reconciliation mismatches", with_measured("positions", **measured))
    assert criterion.verdict == Verdict.INCONCLUSIVE
    assert criterion.reason == "The target reconciled 0 times in this run; a pass needs 1."


def test_a_mismatch_in_the_targets_own_log_fails_even_when_our_comparison_passed():
    slots = with_measured("positions", reconciliations=9, reconciliation_mismatches=2)
    criterion = line("zero reconciliation mismatches", slots)
    assert criterion.verdict == Verdict.FAILED
    assert "2 in 9 of its own" in criterion.measured


def test_a_critical_finding_of_no_slot_fails_the_run():
    assert judged(CLEAN, (("a rule", "critical"),)) == Verdict.FAILED


@given(st.lists(st.sampled_from(CLEAN)))
def test_no_set_of_clean_slots_passes_unless_every_check_is_there(slots):
    whole = {slot.check_name for slot in slots} == set(CHECKS)
    assert (judged(slots) == Verdict.PASSED) == whole


def test_slots_of_a_check_that_no_criterion_looks_at_are_not_lost():
    for verdict in ("failed", "inconclusive", None):
        other = Judged("a new check", "done" if verdict else "due", verdict, {})
        assert judged([*CLEAN, other]) == (verdict or Verdict.INCONCLUSIVE)
    assert judged([*CLEAN, Judged("a new check", "done", "passed", {})]) == Verdict.PASSED


def test_the_slowest_execution_and_the_worst_slippage_are_said():
    slots = [*with_stops(touches=3, executed=3, latency_max_ms=12.4, slippage_worst_pips="-0.3"), *CLEAN]
    assert line("stops executed", slots).measured == "6 of 6 executed, slowest in 12 ms, worst slippage -0.3 pips"


AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
GAPS = [Gap("prices", AT, AT + timedelta(seconds=4)), Gap("transactions", AT, AT + timedelta(seconds=9))]


def test_stops_are_inconclusive_while_a_stream_was_cut_and_the_reason_names_the_gap():
    (stops,) = (row for row in criteria(SMOKE, CLEAN, (), GAPS) if row.name == "stops executed")
    assert stops.verdict == Verdict.INCONCLUSIVE
    assert "prices told nothing for 4.0 s" in stops.reason
    assert "the first of 2 gaps" in stops.reason


def test_a_gap_excuses_no_missed_stop():
    table = criteria(SMOKE, with_stops(touches=3, executed=2), (), GAPS)
    assert verdict_of(table) == Verdict.FAILED
