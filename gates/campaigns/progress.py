"""How far a campaign is, in words and as a part of its open gate."""

from datetime import datetime

from django.db.models import Q

from gates import queries
from gates.models import Campaign, CrashPoint, LedgerAudit, Run, Slot


def how_far(campaign: Campaign, now: datetime) -> tuple[str, float]:
    """Return what the campaign does now, and 0 to 1 of its open gate."""
    run = campaign.runs.filter(state=Run.State.RUNNING).order_by("gate").first()
    if run is not None:
        words, part = _PARTS[run.gate](run, now)
        return f"gate {run.gate}: {words}", part
    last = campaign.runs.order_by("-gate").first()
    if campaign.state == Campaign.State.RUNNING and last is not None:
        return f"gate {last.gate} {last.verdict}; the next tick goes on", 1.0
    return f"the campaign is {campaign.state}", 1.0


def _watched(run: Run, now: datetime) -> tuple[str, float]:
    counts = queries.slot_counts(run)
    done = counts["passed"] + counts["failed"] + counts["inconclusive"]
    words = f"{done} of {counts['planned']} slots, {counts['failed']} failed, {counts['holes']} holes"
    return words, run.progress(now)


def struck(run: Run, _now: datetime) -> tuple[str, float]:
    """Return how far a run of gate 2 is, and as a part of the crash points that are known so far."""
    points = CrashPoint.objects.filter(scenario__run=run)
    planned, done = points.count(), points.filter(phase="done").count()
    over, scenarios = run.scenarios.filter(phase="done").count(), run.scenarios.count()
    failed, unclear = (points.filter(verdict=verdict).count() for verdict in ("failed", "inconclusive"))
    words = f"{over} of {scenarios} scenarios, {done} of {planned} strikes, {failed} failed, {unclear} inconclusive"
    return words, done / planned if planned else 0.0


def _audited(run: Run, now: datetime) -> tuple[str, float]:
    audit = LedgerAudit.objects.get(run=run)
    judged, planned = run.slots.filter(~Q(state=Slot.State.DUE)).count(), run.slots.count()
    return f"{audit.doing or audit.get_phase_display()}; {judged} of {planned} checks judged", audit.done_part


_PARTS = {1: _watched, 2: struck, 3: _audited, 4: _watched}
