"""Counting in the database judges a run as looking at each of its slots would."""

import random
from datetime import timedelta

import pytest

from audits.findings import Finding, Level
from audits.verdicts import Verdict
from gates import commands, engine, queries
from gates.alerts.raising import raise_alert, resolve
from gates.alerts.rechecking import WATCH
from gates.checks.outcome import Outcome
from gates.criteria import Judged, criteria
from gates.models import RunEvent, Slot, StreamGap
from gates.plans import plan_for
from tests.gates.cast import START, a_run

pytestmark = pytest.mark.django_db
CRITICAL = Finding("a rule", Level.CRITICAL, "Something is wrong.")


def lived_through(seed):
    """Return a run some of whose slots passed, failed, were inconclusive, became holes or are still due."""
    chance, run = random.Random(seed), a_run(profile="rehearsal")
    for slot in run.slots.all():
        end = chance.choices(("passed", "failed", "inconclusive", "hole", "due"), (90, chance.choice((0, 2)), 2, 2, 1))
        if end == ["hole"]:
            Slot.objects.filter(pk=slot.pk).update(state="hole", verdict="inconclusive")
        elif end != ["due"]:
            touches = chance.randrange(4)
            missed = chance.random() < 0.01
            measured = {
                "health": {"pid": 7},
                "stops": {"touches": touches, "executed": touches - (missed and touches > 0)},
                "positions": {"reconciliations": chance.randrange(9), "reconciliation_mismatches": int(missed)},
            }.get(slot.check_name, {})
            found = (CRITICAL,) if end == ["failed"] else ()
            mine = engine.claim(slot.pk, worker="a", now=slot.due_at)
            outcome = Outcome(Verdict(end[0]), "", measured, found)
            assert engine.record(mine, outcome, started_at=slot.due_at, now=slot.due_at)
    RunEvent.objects.create(run=run, at=START, kind="hole", level="high", sentence="A hole.")
    return run


def one_by_one(run):
    for slot in run.slots.select_related("result"):
        measured = slot.result.measured if slot.state == "done" else {}
        yield Judged(slot.check_name, slot.state, slot.verdict, measured)


@pytest.mark.parametrize("seed", range(6))
def test_a_run_is_judged_alike_by_counts_and_slot_by_slot(seed):
    run = lived_through(seed)
    plan = plan_for("rehearsal")
    table = criteria(plan, queries.judged_slots(run), queries.what_happened(run))
    assert table == criteria(plan, one_by_one(run), queries.what_happened(run))
    assert commands.criteria_of(run) == table


def test_a_missed_stop_is_not_outweighed_by_other_slots():
    run = a_run()
    for n, slot in enumerate(run.slots.filter(check_name="stops")):
        mine = engine.claim(slot.pk, worker="a", now=slot.due_at)
        measured = {"touches": 2, "executed": 1 if n == 0 else 3}
        engine.record(mine, Outcome(Verdict.PASSED, "", measured), started_at=slot.due_at, now=slot.due_at)
    stops = next(line for line in commands.criteria_of(run) if line.name == "stops executed")
    assert stops.verdict == Verdict.FAILED


def pass_stops(run, slots):
    for slot in slots:
        mine = engine.claim(slot.pk, worker="a", now=slot.due_at)
        outcome = Outcome(Verdict.PASSED, "", {"touches": 9, "executed": 9})
        engine.record(mine, outcome, started_at=slot.due_at, now=slot.due_at)


def test_a_gap_makes_the_stops_of_its_own_run_inconclusive_until_their_slots_have_read_those_seconds_anew():
    run, other = a_run(), a_run()
    first, *others = run.slots.filter(check_name="stops").order_by("window_start")
    pass_stops(run, others)
    shape = {"kind": "prices", "since": START, "until": START + timedelta(seconds=4), "sentence": "no price for 4.0 s"}
    StreamGap.objects.create(run=other, repaired=False, **shape)
    StreamGap.objects.create(run=run, repaired=True, **shape)
    assert queries.gaps_that_stayed(run) == []
    StreamGap.objects.create(run=run, repaired=False, **shape)
    assert stops_of(run).verdict == Verdict.INCONCLUSIVE
    assert "prices told nothing for 4.0 s, 03-01 12:00:00 to 03-01 12:00:04 UTC" in stops_of(run).reason
    pass_stops(run, [first])
    assert stops_of(run).verdict == Verdict.PASSED


def test_no_slot_stands_for_a_gap_that_it_does_not_hold_to_its_end():
    run = a_run()
    slots = run.slots.filter(check_name="stops").order_by("window_start")
    pass_stops(run, slots)
    last = slots.last()
    until = last.window_end + timedelta(seconds=1)
    StreamGap.objects.create(run=run, repaired=False, kind="prices", since=last.window_start, until=until, sentence="-")
    assert [gap.until for gap in queries.gaps_that_stayed(run)] == [until]


def stops_of(run):
    return next(line for line in commands.criteria_of(run) if line.name == "stops executed")


def test_findings_and_events_are_told_one_for_one():
    run = lived_through(1)
    told = queries.what_happened(run)
    assert told.count(("hole", "high")) == 1
    assert told.count(("a rule", "critical")) == run.findings.count()


def watched(run, rule, at=START, *, by=WATCH, level="critical"):
    cause = {"by": [by]}
    return raise_alert(run, rule=rule, level=level, sentence=f"{rule}.", event_at=at, now=at, cause=cause)


def critical_errors(run):
    return next(line for line in commands.criteria_of(run) if line.name == "critical errors")


def test_what_only_the_watch_saw_between_two_slots_is_a_critical_error_even_when_it_is_over():
    run, other = a_run(), a_run()
    watched(run, "resource use", level="high")
    watched(other, "system crash")
    assert critical_errors(run).measured.startswith("0 in")
    alert = watched(run, "system crash")
    later = START + timedelta(minutes=1)
    assert resolve(alert.pk, rechecked_at=later, words="It answers.", now=later)
    line = critical_errors(run)
    assert (line.verdict, line.measured) == (Verdict.FAILED, "1 in 0 health checks")


def test_what_a_slot_found_and_a_death_that_was_noted_are_not_counted_again_for_the_watch():
    run = a_run()
    RunEvent.objects.create(run=run, at=START, kind="target died", level="critical", sentence="It died.")
    slot = run.slots.filter(check_name="stops").first()
    mine = engine.claim(slot.pk, worker="a", now=slot.due_at)
    missed = Finding("stop touched, not executed", Level.CRITICAL, "A stop was missed.")
    engine.record(mine, Outcome(Verdict.FAILED, "", {}, (missed,)), started_at=slot.due_at, now=slot.due_at)
    watched(run, "system crash")
    watched(run, "missed SL/TP trigger", slot.due_at)
    assert critical_errors(run).measured.startswith("2 in")


def test_the_page_of_a_long_run_asks_as_few_questions_as_that_of_a_short_one(django_assert_max_num_queries):
    run = a_run(profile="rehearsal")
    with django_assert_max_num_queries(6):
        commands.criteria_of(run)
