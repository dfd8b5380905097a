"""The engine: cut, claim, step, close. Nothing here runs long, and everything may happen twice.

All slots of a run are inserted at its start, so the denominator is fixed before the first check. A tick then finds what
is due and does one bounded step of each. Killing any process of ours between two statements leaves rows that the next
tick finds again.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from audits.findings import Finding as FindingSeen
from audits.verdicts import Verdict
from gates.alerts.raising import Event, raise_event
from gates.alerts.rules.findings import FOUND_AS
from gates.campaigns.hands import INTERVENTIONS
from gates.checks.outcome import Outcome
from gates.fingerprints import fingerprint
from gates.models import Beat, Finding, Run, RunEvent, Slot, SlotResult
from gates.plans import Plan, Window, windows
from gates.workers import is_dead

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=70)  # above the task time limit: a claim outlives its task, never the other way round
BATCH = 500
MOST_WAKE_UPS = 16  # per tick: a message wakes a worker up, the rows say what there is to do
SLOTS_PER_WAKE_UP = 4
OWN_PROCESS = ("full audit",)  # checks that take minutes: a tick starts a process for each
MOST_ATTEMPTS = 5  # a check that ends its worker each time is not tried for ever


def cut(run: Run, plan: Plan) -> int:
    """Insert every slot of the run; doing it again changes nothing. Returns how many slots the run has."""
    return insert(run, windows(plan, run.planned_start))


def insert(run: Run, cut_windows: Iterable[Window]) -> int:
    """Insert a slot for each window that the run has none for. Returns how many slots the run has."""
    slots = (
        Slot(
            run=run,
            check_name=window.check_name,
            window_start=window.start,
            window_end=window.end,
            due_at=window.due_at,
            grace_until=window.grace_until,
        )
        for window in cut_windows
    )
    Slot.objects.bulk_create(slots, ignore_conflicts=True, batch_size=1000)
    return run.slots.count()


def wake_ups(now: datetime) -> int:
    """Return how many workers to wake: none while nothing may be claimed, and never more than a few."""
    waiting = len(_claimable(now)[: MOST_WAKE_UPS * SLOTS_PER_WAKE_UP].values_list("pk"))
    return -(-waiting // SLOTS_PER_WAKE_UP)


def _claimable(now: datetime) -> QuerySet[Slot]:
    """Slots that may be claimed now, oldest first."""
    due = Slot.objects.filter(state=Slot.State.DUE, due_at__lte=now, grace_until__gt=now, attempt__lt=MOST_ATTEMPTS)
    return due.filter(free(now)).exclude(check_name__in=OWN_PROCESS).order_by("due_at")


def own_process(now: datetime, most: int = 4) -> list[int]:
    """Return the slots that wait for a process of their own, oldest first."""
    due = Slot.objects.filter(state=Slot.State.DUE, due_at__lte=now, grace_until__gt=now, attempt__lt=MOST_ATTEMPTS)
    mine = due.filter(free(now), check_name__in=OWN_PROCESS).order_by("due_at")
    return list(mine.values_list("pk", flat=True)[:most])


def free(now: datetime) -> Q:
    """On the slot's own columns only, so that of two who claim at once one wins."""
    return Q(lease_until=None) | Q(lease_until__lt=now)


def renew(slot: Slot, now: datetime) -> bool:
    """Hold the slot for another lease; False when another attempt has it, or it is closed."""
    mine = Slot.objects.filter(pk=slot.pk, state=Slot.State.DUE, attempt=slot.attempt)
    return bool(mine.update(lease_until=now + LEASE, worker=slot.worker))


def claim_next(*, worker: str, now: datetime) -> Slot | None:
    """Take the oldest slot that is due and free; rows that others are just taking are passed over, not waited for."""
    with transaction.atomic():
        free = _claimable(now).select_for_update(skip_locked=True).values_list("pk", flat=True)[:1]
        return next((claim(slot_id, worker=worker, now=now) for slot_id in free), None)


def claim(slot_id: int, *, worker: str, now: datetime) -> Slot | None:
    """Take the slot for one lease, or return None when somebody else holds it.

    The update filters on the slot's own columns only: with a related filter PostgreSQL does not judge the row again
    after waiting for its lock, and two workers win.
    """
    won = Slot.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=now), pk=slot_id, state=Slot.State.DUE, grace_until__gt=now
    ).update(lease_until=now + LEASE, attempt=F("attempt") + 1, worker=worker)
    return Slot.objects.select_related("run__campaign__target").get(pk=slot_id) if won else None


def free_claims_of_the_dead(now: datetime) -> int:
    """Take back the claims of workers of this machine that died, before their lease is over. Returns how many."""
    held = Slot.objects.filter(state=Slot.State.DUE, lease_until__gt=now).values_list("pk", "attempt", "worker")
    dead = [(pk, attempt) for pk, attempt, worker in held.order_by("due_at")[:BATCH] if is_dead(worker)]
    freed = [
        Slot.objects.filter(pk=pk, attempt=attempt, state=Slot.State.DUE).update(lease_until=None)
        for pk, attempt in dead
    ]
    return sum(freed)


@transaction.atomic
def record(slot: Slot, outcome: Outcome, *, started_at: datetime, now: datetime) -> bool:
    """Close the slot with its outcome, unless another attempt has taken it since. Returns whether it was closed."""
    closed = Slot.objects.filter(pk=slot.pk, state=Slot.State.DUE, attempt=slot.attempt).update(
        state=Slot.State.DONE, verdict=outcome.verdict
    )
    if not closed:
        return False
    SlotResult.objects.create(
        slot=slot,
        attempt=slot.attempt,
        verdict=outcome.verdict,
        reason=outcome.reason,
        measured=outcome.measured,
        started_at=started_at,
        finished_at=now,
    )
    Finding.objects.bulk_create(
        Finding(
            run=slot.run,
            slot=slot,
            rule=found.rule,
            level=found.level,
            sentence=found.sentence,
            expected=found.expected,
            measured=found.measured,
            difference=found.difference,
            where=found.where,
            found_at=now,
            fingerprint=fingerprint(slot.run.campaign.target_id, found),
        )
        for found in outcome.findings
    )
    for found in outcome.findings:
        if found.rule in INTERVENTIONS:
            note_intervention(slot.run, rule=found.rule, sentence=found.sentence, now=now)
    _raise_alerts(slot, outcome, started_at, now)
    _touch(slot.run_id)
    return True


def _raise_alerts(slot: Slot, outcome: Outcome, started_at: datetime, now: datetime) -> None:
    """One event per rule and level, in one order for everybody: two slots that raise the same never lock each other.

    A finding that belongs to one of the thirteen rules is raised by that name, others by their own.
    """
    groups: dict[tuple[str, str], list[FindingSeen]] = {}
    for found in outcome.findings:
        groups.setdefault((FOUND_AS.get(found.rule, found.rule), found.level), []).append(found)
    for (rule, level), found_here in sorted(groups.items()):
        first = found_here[0]
        cause = {"by": [slot.check_name], "slot": slot.pk, "finding": first.rule, "where": first.where}
        event = Event(rule, level, first.sentence, started_at, cause, first.expected, len(found_here))
        raise_event(event, target=slot.run.campaign.target, run=slot.run, now=now)


def note_intervention(run: Run, *, rule: str, sentence: str, now: datetime) -> None:
    """Write down once, in these words, that something besides the target had its hands in the run; it fails the run."""
    words = f"{rule.capitalize()}: {sentence}"
    if not run.events.filter(kind=RunEvent.Kind.INTERVENTION, sentence=words).exists():
        RunEvent.objects.create(run=run, at=now, kind=RunEvent.Kind.INTERVENTION, level="critical", sentence=words)
        _touch(run.pk)


@transaction.atomic
def close_holes(now: datetime) -> int:
    """Close slots that nobody filled in time as holes: inconclusive, counted, never hidden. Returns how many."""
    missed = list(
        Slot.objects.select_for_update(skip_locked=True)
        .filter(state=Slot.State.DUE, due_at__lte=now, grace_until__lte=now)  # the first is what the index knows
        .order_by("due_at")[:BATCH]
    )
    for run_id in {slot.run_id for slot in missed}:
        names = [slot for slot in missed if slot.run_id == run_id]
        sentence = f"{len(names)} slots were not filled in time, first {names[0]}, last {names[-1]}."
        RunEvent.objects.create(run_id=run_id, at=now, kind=RunEvent.Kind.HOLE, level="high", sentence=sentence)
        _touch(run_id)
    Slot.objects.filter(pk__in=[slot.pk for slot in missed]).update(state=Slot.State.HOLE, verdict=Verdict.INCONCLUSIVE)
    return len(missed)


def finished_runs() -> Iterable[Run]:
    """Return running runs of which no slot is due any more."""
    due = Slot.objects.filter(state=Slot.State.DUE, run=OuterRef("pk"))
    return Run.objects.filter(~Exists(due), state=Run.State.RUNNING)


def beat(kind: str, now: datetime) -> None:
    """Note that a process of ours of this kind is alive."""
    row = Beat(kind=kind, last_at=now)
    Beat.objects.bulk_create([row], update_conflicts=True, unique_fields=["kind"], update_fields=["last_at"])


def _touch(run_id: int) -> None:
    Run.objects.filter(pk=run_id).update(cursor=F("cursor") + 1)
