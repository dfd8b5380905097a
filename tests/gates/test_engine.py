from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from audits.findings import Finding, Level
from audits.verdicts import Verdict
from gates import commands, engine
from gates.checks.outcome import Outcome
from gates.models import Alert, RunEvent, Slot, SlotResult
from gates.plans import plan_for
from tests.gates.cast import START, a_run

PASSED = Outcome(Verdict.PASSED, measured={"touches": 3, "executed": 3, "reconciliations": 1})
LATER = START + timedelta(hours=1)


def at_once(count, work):
    """Do the work in as many threads, each with a connection of its own, all starting together."""
    barrier = Barrier(count)

    def one(number):
        try:
            barrier.wait(timeout=10)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def fill(run, outcome=PASSED):
    for slot in run.slots.filter(state="due"):
        mine = engine.claim(slot.pk, worker="a", now=slot.due_at)
        assert engine.record(mine, outcome, started_at=slot.due_at, now=slot.due_at)


@pytest.mark.django_db
def test_cutting_twice_leaves_the_same_slots():
    run = a_run()
    planned = run.slots.count()
    assert engine.cut(run, plan_for("smoke")) == planned == 10 + 4 + 2 + 4 + 2


@pytest.mark.django_db(transaction=True)
def test_one_of_eight_workers_wins_each_slot():
    for slot in a_run().slots.all()[:10]:
        won = at_once(8, lambda number, pk=slot.pk, due=slot.due_at: engine.claim(pk, worker=str(number), now=due))
        assert sum(claimed is not None for claimed in won) == 1


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_filters_through_a_related_table_is_won_twice():
    """Why `claim` filters on its own columns only: the related form lets several workers win under READ COMMITTED."""

    def related_claim(number, pk):
        return Slot.objects.filter(pk=pk, lease_until=None, result=None).update(
            attempt=F("attempt") + 1, worker=str(number)
        )

    slots = list(a_run().slots.all())
    double = sum(sum(at_once(8, lambda number, pk=slot.pk: related_claim(number, pk))) > 1 for slot in slots)
    assert double > 0


@pytest.mark.django_db
def test_a_late_writer_whose_lease_was_taken_over_is_refused():
    slot = a_run().slots.first()
    slow = engine.claim(slot.pk, worker="slow", now=slot.due_at)
    Slot.objects.filter(pk=slot.pk).update(lease_until=slot.due_at - timedelta(seconds=1))
    fast = engine.claim(slot.pk, worker="fast", now=slot.due_at)
    assert fast.attempt == 2
    assert not engine.record(slow, PASSED, started_at=slot.due_at, now=slot.due_at)
    assert engine.record(fast, PASSED, started_at=slot.due_at, now=slot.due_at)
    assert SlotResult.objects.get(slot=slot).attempt == 2


@pytest.mark.django_db
def test_a_slot_that_nobody_filled_becomes_an_inconclusive_hole_and_shuts_the_gate():
    run = a_run()
    assert engine.wake_ups(START) == 0
    engine.close_holes(LATER)
    assert set(run.slots.values_list("state", "verdict")) == {("hole", "inconclusive")}
    assert commands.close_run(run.pk, LATER).verdict == Verdict.INCONCLUSIVE
    assert RunEvent.objects.filter(run=run, kind="hole").exists()


@pytest.mark.django_db
def test_a_run_with_every_slot_passed_is_passed_and_closed_once():
    run = a_run()
    assert commands.close_run(run.pk, LATER) is None
    fill(run)
    assert [finished.pk for finished in engine.finished_runs()] == [run.pk]
    assert commands.close_run(run.pk, LATER).verdict == Verdict.PASSED
    assert commands.close_run(run.pk, LATER) is None


@pytest.mark.django_db
def test_findings_of_one_rule_fold_into_one_alert_that_counts():
    run = a_run()
    found = Finding("missed stop", Level.CRITICAL, "Stop 7 was touched and not executed.")
    fill(run, Outcome(Verdict.FAILED, found.sentence, findings=(found,)))
    alert = Alert.objects.get(run=run)
    assert alert.count == run.slots.count() == run.findings.count()
    assert commands.close_run(run.pk, LATER).verdict == Verdict.FAILED


@pytest.mark.django_db
@pytest.mark.parametrize(
    "tamper",
    [
        lambda run: run.slots.update(state="due", verdict=None),
        lambda run: run.slots.all().delete(),
        lambda run: SlotResult.objects.update(verdict="passed"),
        lambda run: run.events.all().delete(),
        lambda run: type(run).objects.filter(pk=run.pk).update(state="running", verdict=None),
        lambda run: type(run).objects.filter(pk=run.pk).update(verdict="passed"),
        lambda run: type(run).objects.filter(pk=run.pk).update(criteria=[]),
        lambda run: type(run).objects.filter(pk=run.pk).update(plan={"min_touches": 0}),
        lambda run: type(run).objects.filter(pk=run.pk).update(baseline={"pid": 1}),
    ],
)
def test_evidence_cannot_be_changed_even_by_sql(tamper):
    run = a_run()
    fill(run, Outcome(Verdict.FAILED))
    commands.close_run(run.pk, LATER)
    with pytest.raises(DatabaseError), transaction.atomic():
        tamper(run)


def all_due(run):
    """Let every slot of the run be due and in time at the moment that is returned."""
    run.slots.update(grace_until=LATER + timedelta(hours=1))
    return LATER


@pytest.mark.django_db
def test_a_tick_wakes_some_workers_for_a_backlog_and_none_when_everything_is_claimed():
    run = a_run()
    assert engine.wake_ups(START) == 0
    now, due = all_due(run), run.slots.count()
    assert engine.wake_ups(now) == -(-due // engine.SLOTS_PER_WAKE_UP)
    while engine.claim_next(worker="a", now=now):
        due -= 1
    assert due == 0
    assert engine.wake_ups(now) == 0


@pytest.mark.django_db(transaction=True)
def test_workers_that_take_the_next_slot_at_once_never_take_the_same_one():
    run = a_run()
    now = all_due(run)

    def work(number):
        taken = []
        while slot := engine.claim_next(worker=str(number), now=now):
            taken.append(slot.pk)
        return taken

    taken = [pk for mine in at_once(4, work) for pk in mine]
    assert sorted(taken) == sorted(run.slots.values_list("pk", flat=True))


@pytest.mark.django_db
def test_the_oldest_slot_is_taken_first_and_one_whose_time_is_over_is_left_to_become_a_hole():
    run = a_run()
    now = all_due(run)
    over, oldest = run.slots.order_by("due_at", "pk")[:2]
    run.slots.filter(pk=over.pk).update(grace_until=now)
    assert engine.claim_next(worker="a", now=now) == oldest


@pytest.mark.django_db
def test_the_criteria_say_the_slowest_execution_and_the_worst_slippage_of_all_slots():
    run = a_run()
    for number, slot in enumerate(run.slots.filter(check_name="stops")):
        mine = engine.claim(slot.pk, worker="a", now=slot.due_at)
        seen = {"touches": 1, "executed": 1, "latency_max_ms": 10.0 + number, "slippage_worst_pips": f"-0.{number}"}
        engine.record(mine, Outcome(Verdict.PASSED, measured=seen), started_at=slot.due_at, now=slot.due_at)
    stops = commands.criteria_of(run)[1]
    assert stops.measured == "4 of 4 executed, slowest in 13 ms, worst slippage 0 pips"
