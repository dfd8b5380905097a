"""Steps: claim a slot, observe, judge, record. Whatever goes wrong inside is inconclusive, never a pass."""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from audits.relation_files import SnapshotUnreadable
from audits.verdicts import Verdict
from gates import engine
from gates.campaigns.searching import look_for_hands
from gates.checks import health, ledger, stops
from gates.checks.growth import RESOURCES, judge_growth
from gates.checks.integrity import Base, judge_integrity
from gates.checks.ledger import Reconciling
from gates.checks.outcome import Outcome, inconclusive, judged
from gates.checks.reconciliations import MISMATCH, SLOW
from gates.ledger_audit.basis import last_passed
from gates.live_capital.checks import LIVE_CHECKS
from gates.live_capital.reaching import live_access
from gates.models import Finding, RunEvent, Slot, SlotResult
from gates.plans import Plan
from gates.targets.access import Access, access

log = logging.getLogger(__name__)

LOOKS_BACK = 24  # times in a run that growth is judged, over all that was seen so far
TOO_LONG = {
    "integrity": "The ledger is too large to be read whole within one slot: run an audit of it (run_manual_audit); "
    "slots go on from the last that passed."
}
RECORD_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0)


def _health(slot: Slot, reach: Access) -> Outcome:
    outcome = health.judge(health.observe(reach), slot.run.baseline)
    if outcome.verdict == Verdict.PASSED and _looks_back(slot):
        return judged(judge_growth((*_figures_before(slot), outcome.measured)), outcome.measured)
    return outcome


def _looks_back(slot: Slot) -> bool:
    """Whether this is one of the few health slots of the run that look at all figures before it."""
    planned = slot.run.slots.filter(check_name=slot.check_name).count()
    number = (slot.window_start - slot.run.planned_start) // (slot.window_end - slot.window_start)
    return number % max(1, planned // LOOKS_BACK) == 0


def _figures_before(slot: Slot) -> list[dict[str, Any]]:
    """The figures that growth is judged by, of the health slots before this one, oldest first."""
    names = [resource.name for resource in RESOURCES]
    before = SlotResult.objects.filter(
        slot__run=slot.run, slot__check_name=slot.check_name, slot__due_at__lt=slot.due_at
    )
    figures = before.order_by("slot__due_at").values_list(*(f"measured__{name}" for name in names))
    return [dict(zip(names, row, strict=True)) for row in figures]


def _stops(slot: Slot, reach: Access) -> Outcome:
    plan = Plan.stored(slot.run.plan)
    return stops.judge_window(reach, start=slot.window_start, end=slot.window_end, limit_s=plan.stop_limit_s)


def _positions(slot: Slot, reach: Access) -> Outcome:
    found = Finding.objects.filter(run=slot.run, rule__in=(MISMATCH, SLOW))
    known = frozenset(found.values_list("where__reconciliation_id", flat=True))
    limit_ms = Plan.stored(slot.run.plan).reconciliation_limit_ms
    return ledger.positions(reach, Reconciling(since=slot.run.planned_start, limit_ms=limit_ms, known=known))


def _integrity(slot: Slot, reach: Access) -> Outcome:
    passed = SlotResult.objects.filter(
        slot__run=slot.run, slot__check_name=slot.check_name, slot__due_at__lt=slot.due_at, verdict=Verdict.PASSED
    )
    before = passed.order_by("-slot__due_at").values_list("measured", flat=True).first()
    return judge_integrity(reach, Base.of(before or {}) or _audited(slot))


def _audited(slot: Slot) -> Base | None:
    """How far an audit has proved a ledger that may be too large to be read whole within one slot."""
    try:
        snapshot = last_passed(slot.run.campaign.target_id)
        return None if snapshot is None else Base.audited(snapshot)
    except SnapshotUnreadable:
        return None


LIVE: dict[str, Callable[[Slot, Access], Outcome]] = {**LIVE_CHECKS, "books": _integrity}
CHECKS: dict[str, Callable[[Slot, Access], Outcome]] = {
    "health": _health,
    "positions": _positions,
    "integrity": _integrity,
    "stops": _stops,
    "hands": look_for_hands,
}


def step_for(limit_s: float, *, worker: str) -> int:
    """Do one due slot after another until none is free or `limit_s` has passed. Returns how many were closed.

    The last one may begin just before the limit: what one check takes is bounded by itself and by the task's limit.
    """
    ends = time.monotonic() + limit_s
    closed = 0
    while time.monotonic() < ends:
        slot = engine.claim_next(worker=worker, now=timezone.now())
        if slot is None:
            break
        closed += step(slot)
    return closed


def step(slot: Slot) -> bool:
    """Do the check of a claimed slot. Returns whether this attempt closed it."""
    started_at, outcome = _done(slot)
    closed = _recorded(slot, outcome, started_at)
    if closed and slot.check_name == "health":
        _note_return(slot, outcome)
    return closed


def _done(slot: Slot) -> tuple[datetime, Outcome]:
    """When the check began, and what came of it; done anew for a while where the portal's own database went away.

    That says nothing of the target. Raises OperationalError or InterfaceError where it stays away: nothing was seen,
    and the slot is taken again or becomes a hole.
    """
    for pause_s in RECORD_PAUSES_S:
        started_at = timezone.now()
        try:
            return started_at, _outcome(slot)
        except (OperationalError, InterfaceError) as error:
            log.warning("slot %s of run %s is done again: %s", slot, slot.run_id, error)
            connection.close()
            time.sleep(pause_s)
    return timezone.now(), _outcome(slot)


def _outcome(slot: Slot) -> Outcome:
    spec = slot.run.campaign.target.spec
    try:
        if slot.run.gate == 4:
            return LIVE[slot.check_name](slot, live_access(spec))
        return CHECKS[slot.check_name](slot, access(spec))
    except SoftTimeLimitExceeded:
        return inconclusive(TOO_LONG.get(slot.check_name, "The check took longer than one step may."))
    except (OperationalError, InterfaceError):  # of the portal's own database: a ledger is not reached by Django
        raise
    except Exception as error:
        log.exception("slot %s of run %s", slot, slot.run_id)
        words = str(error).split("\n", 1)[0][:300]
        return inconclusive(f"The check could not be done: {words or type(error).__name__}")


def _recorded(slot: Slot, outcome: Outcome, started_at: datetime) -> bool:
    """Record what was seen; when the portal's database is away, again for a while: evidence is not thrown away."""
    for pause_s in RECORD_PAUSES_S:
        try:
            return engine.record(slot, outcome, started_at=started_at, now=timezone.now())
        except (OperationalError, InterfaceError) as error:
            log.warning("slot %s of run %s is not recorded yet: %s", slot, slot.run_id, error)
            connection.close()
            time.sleep(pause_s)
    return engine.record(slot, outcome, started_at=started_at, now=timezone.now())


def _note_return(slot: Slot, outcome: Outcome) -> None:
    """Write down once that a target that died answers again."""
    events = slot.run.events
    if "pid" not in outcome.measured or outcome.measured["pid"] == slot.run.baseline.get("pid"):
        return
    if events.filter(kind=RunEvent.Kind.TARGET_BACK).exists():
        return
    sentence = f"The target answers again, as process {outcome.measured['pid']}."
    RunEvent.objects.create(
        run=slot.run, at=timezone.now(), kind=RunEvent.Kind.TARGET_BACK, level="high", sentence=sentence
    )
