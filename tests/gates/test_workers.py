"""Claims between real processes: who wins, what a death leaves behind, and who may still write."""

import signal
import subprocess
import sys
import time
from datetime import timedelta

import psutil
import pytest
from django.utils import timezone

from audits.verdicts import Verdict
from gates import engine, workers
from gates.checks.outcome import Outcome
from gates.checks.processes import started_ticks
from gates.models import Slot, SlotResult
from tests.gates.cast import a_run
from tests.gates.elsewhere import elsewhere

PASSED = Outcome(Verdict.PASSED)
CLAIM_ALL = """
print("ready", flush=True)
input()
from gates.models import Slot
me = workers.identity()
print(sum(engine.claim(slot.pk, worker=me, now=slot.due_at) is not None for slot in Slot.objects.all()), flush=True)
input()
"""


def until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("not within 30 s")


@pytest.mark.django_db(transaction=True)
def test_two_processes_share_the_slots_and_the_claims_of_the_one_that_is_killed_come_back(postgres_server):
    start = timezone.now()
    run = a_run(start=start)
    pair = [elsewhere(postgres_server, CLAIM_ALL) for _ in range(2)]
    try:
        assert [process.stdout.readline() for process in pair] == ["ready\n"] * 2
        for process in pair:
            process.stdin.write("\n")
            process.stdin.flush()
        shares = [int(process.stdout.readline()) for process in pair]
        assert sum(shares) == run.slots.count() == 22, "each slot was won once"
        assert engine.free_claims_of_the_dead(start) == 0
        pair[0].send_signal(signal.SIGKILL)
        pair[0].wait(10)
        assert engine.free_claims_of_the_dead(start) == shares[0]
        assert engine.free_claims_of_the_dead(start) == 0
        assert run.slots.filter(lease_until=None, attempt=1).count() == shares[0]
    finally:
        for process in pair:
            process.kill()
            process.communicate(timeout=10)


@pytest.mark.django_db
def test_the_writer_whose_claim_was_taken_back_is_refused():
    slot = a_run().slots.first()
    slow = engine.claim(slot.pk, worker="elsewhere", now=slot.due_at)
    Slot.objects.filter(pk=slot.pk).update(lease_until=None)
    fast = engine.claim(slot.pk, worker=workers.identity(), now=slot.due_at)
    assert not engine.record(slow, PASSED, started_at=slot.due_at, now=slot.due_at)
    assert engine.record(fast, PASSED, started_at=slot.due_at, now=slot.due_at)
    assert SlotResult.objects.get(slot=slot).attempt == 2


def test_of_a_worker_of_another_machine_or_without_a_name_nothing_is_known():
    me = workers.identity()
    host, pid, started, place = me.split(":")
    assert not workers.is_dead(me)
    assert workers.is_dead(f"{host}:{pid}:{float(started) + 1:.2f}:{place}"), "the pid was given to another process"
    assert not workers.is_dead(f"{host}:{pid}:{float(started) + 1:.2f}:00000000")
    for name in ("", "a", "host:1", "host:x:1:", f"host::{started}:{place}"):
        assert not workers.is_dead(name)
    assert len(workers.identity()) <= Slot._meta.get_field("worker").max_length


def test_a_worker_that_is_dead_and_not_yet_buried_is_dead():
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as child:
        process = psutil.Process(child.pid)
        ticks = started_ticks(process)
        name = f"here:{child.pid}:{ticks:.2f}:{workers.place()}"
        assert not workers.is_dead(name)
        child.kill()
        until(lambda: process.status() == psutil.STATUS_ZOMBIE)
        assert started_ticks(process) == ticks
        assert workers.is_dead(name)


@pytest.mark.parametrize(
    ("machine", "table", "over"),
    [("one", workers.OF_NO_CONTAINER, True), ("", workers.OF_NO_CONTAINER, False), ("one", 4026532281, False)],
)
def test_an_earlier_boot_is_over_where_it_surely_was_of_this_machine(monkeypatch, machine, table, over):
    """Containers, and machines without an id of their own, may only look alike."""
    monkeypatch.setattr(workers, "_machine_id", lambda: machine)
    monkeypatch.setattr(workers, "_counted", lambda: ("the boot before", table))
    before = workers.identity()
    monkeypatch.setattr(workers, "_counted", lambda: ("this boot", table))
    assert (workers.is_dead(before), workers.is_here(before)) == (over, over)
    assert (workers.is_dead(workers.identity()), workers.is_here(workers.identity())) == (False, True)
    monkeypatch.setattr(workers.socket, "gethostname", lambda: "another")
    assert (workers.is_dead(before), workers.is_here(before)) == (False, False)


@pytest.mark.django_db
def test_a_check_that_ends_its_worker_each_time_is_not_tried_for_ever():
    slot = a_run().slots.order_by("due_at").first()
    tries = 0
    while engine.wake_ups(slot.due_at):
        engine.claim(slot.pk, worker="a", now=slot.due_at)
        Slot.objects.filter(pk=slot.pk).update(lease_until=None)
        tries += 1
    assert tries == engine.MOST_ATTEMPTS
    assert engine.close_holes(slot.due_at + timedelta(hours=1)) == 22
