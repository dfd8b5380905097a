"""The engine: cut, claim, step, close. Nothing here runs long, and everything may happen twice.

All slots of a run are inserted at its start, so the denominator is fixed before the first check. A tick then finds what
is due and does one bounded step of each. Killing any process of ours between two statements leaves rows that the next
tick finds again.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from audits.verdicts import Verdict
from gates.checks.outcome import Outcome
from gates.fingerprints import fingerprint
from gates.models import Alert, Beat, Finding, Run, RunEvent, Slot, SlotResult
from gates.plans import Plan, windows

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=70)  # above the task time limit: a claim outlives its task, never the other way round
BATCH = 500
ALERT_DEADLINES = {"critical": timedelta(0), "high": timedelta(hours=1), "medium": timedelta(hours=4)}


def cut(run: Run, plan: Plan) -> int:
    """Insert every slot of the run; doing it again changes nothing. Returns how many slots the run has."""
    slots = (
        Slot(
            run=run,
            check_name=window.check_name,
            window_start=window.start,
            window_end=window.end,
            due_at=window.due_at,
            grace_until=window.grace_until,
        )
        for window in windows(plan, run.planned_start)
    )
    Slot.objects.bulk_create(slots, ignore_conflicts=True, batch_size=1000)
    return run.slots.count()


def due_slots(now: datetime) -> list[int]:
    """Return ids of slots that may be claimed now, oldest first, at most one batch."""
    due = Slot.objects.filter(state=Slot.State.DUE, due_at__lte=now, grace_until__gt=now)
    free = due.filter(Q(lease_until=None) | Q(lease_until__lt=now))
    return list(free.order_by("due_at").values_list("pk", flat=True)[:BATCH])


def claim(slot_id: int, *, worker: str, now: datetime) -> Slot | None:
    """Take the slot for one lease, or return None when somebody else holds it.

    The update filters on the slot's own columns only: with a related filter PostgreSQL does not judge the row again
    after waiting for its lock, and two workers win.
    """
    won = Slot.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=now), pk=slot_id, state=Slot.State.DUE, grace_until__gt=now
    ).update(lease_until=now + LEASE, attempt=F("attempt") + 1, worker=worker)
    return Slot.objects.select_related("run__campaign__target").get(pk=slot_id) if won else None


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
        raise_alert(slot.run, rule=found.rule, level=found.level, sentence=found.sentence, event_at=started_at, now=now)
    _touch(slot.run_id)
    return True


def raise_alert(
    run: Run, *, rule: str, level: str, sentence: str, event_at: datetime, now: datetime
) -> None:  # the fields of one alert
    """Raise an alert, or count one more on the alert of this rule that is still open on the run."""
    fresh = Alert(
        target=run.campaign.target,
        run=run,
        rule=rule,
        level=level,
        sentence=sentence,
        event_at=event_at,
        raised_at=now,
        deadline_at=now + ALERT_DEADLINES[level],
        count=0,
    )
    Alert.objects.bulk_create([fresh], ignore_conflicts=True)
    Alert.objects.filter(run=run, rule=rule).exclude(state=Alert.State.RESOLVED).update(count=F("count") + 1)


@transaction.atomic
def close_holes(now: datetime) -> int:
    """Close slots that nobody filled in time as holes: inconclusive, counted, never hidden. Returns how many."""
    missed = list(
        Slot.objects.select_for_update(skip_locked=True)
        .filter(state=Slot.State.DUE, grace_until__lte=now)
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
    unfinished = Slot.objects.filter(state=Slot.State.DUE).values("run")
    return Run.objects.filter(state=Run.State.RUNNING).exclude(pk__in=unfinished).select_related("campaign__target")


def beat(kind: str, now: datetime) -> None:
    """Note that a process of ours of this kind is alive."""
    Beat.objects.update_or_create(kind=kind, defaults={"last_at": now})


def _touch(run_id: int) -> None:
    Run.objects.filter(pk=run_id).update(cursor=F("cursor") + 1)
