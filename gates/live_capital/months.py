"""Months of gate 4: one that a day has broken is closed, and starts again at day 1; what was seen of it stays.

A day that *failed* ends gate 4, since real money met a critical error. A day that is *no evidence* (nobody looked, or
nothing could be read) only breaks the row: a new month begins, a few times, within the plan's end.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from audits.verdicts import Verdict
from gates.campaigns.commands import stop
from gates.live_capital.commands import GATE, REFUSALS, Month, is_simulated, open_month
from gates.live_capital.days import first_broken
from gates.live_capital.plans import LivePlan
from gates.live_capital.standing import days_of
from gates.models import LiveRun, Run, RunEvent, Slot, Target
from gates.targets import stage
from gates.targets.access import TargetUnreachableError

log = logging.getLogger(__name__)

OPENING_LIMIT = {"production": timedelta(hours=6)}
OPENING_LIMIT_ELSE = timedelta(minutes=1)
LEAVING = timedelta(seconds=30)
AT_ONCE = 10


def close_broken(now: datetime) -> int:
    """Close what is left of each month that a day has broken: no later day can mend it. Returns how many."""
    closed = 0
    for run in Run.objects.filter(gate=GATE, live__isnull=False, state=Run.State.RUNNING)[:AT_ONCE]:
        day = first_broken(days_of(run, now))
        if day is not None and run.slots.filter(state=Slot.State.DUE).exists():
            words = f"Day {day.number} {day.status}, {day.words}: the month ends here, its other slots are not judged."
            closed += _release(run, words.replace("..", "."), now)
    return closed


@transaction.atomic
def _release(run: Run, sentence: str, now: datetime) -> bool:
    left = Slot.objects.filter(run_id=run.pk, state=Slot.State.DUE).update(
        state=Slot.State.HOLE, verdict=Verdict.INCONCLUSIVE
    )
    if left:
        RunEvent.objects.create(run=run, at=now, kind=RunEvent.Kind.HOLE, level="high", sentence=sentence)
        Run.objects.filter(pk=run.pk).update(cursor=F("cursor") + 1)
    return bool(left)


def to_begin() -> list[int]:
    """Return the months that were broken without a failure and that no other has followed yet, a few at a time."""
    broken = LiveRun.objects.filter(
        run__state=Run.State.CLOSED, run__verdict=Verdict.INCONCLUSIVE, run__campaign__ended_at=None, next=None
    )
    return list(broken.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])


def begins_again(run: Run) -> bool:
    """Whether a closed month only breaks the row: it is no evidence, it counted, and another may be tried."""
    if run.gate != GATE or run.verdict != Verdict.INCONCLUSIVE:
        return False
    live = LiveRun.objects.get(run=run)
    return live.counted and live.month < LivePlan.stored(run.plan).most_months


def begin_again(live_id: int, now: datetime) -> Run | None:
    """Open the month after a broken one, at day 1. Returns None when it cannot be opened now.

    What keeps it shut for too long stops the campaign.
    """
    live = LiveRun.objects.select_related("run", "plan__campaign__target", "started_by").get(pk=live_id)
    try:
        return open_month(Month(live.plan, live.not_counted_because, live.started_by, live), now)
    except REFUSALS as error:
        limit = OPENING_LIMIT.get(live.plan.campaign.profile, OPENING_LIMIT_ELSE)
        if now - (live.run.closed_at or now) > limit:
            reason = f"The next month could not begin: {error}"
            stop(live.plan.campaign_id, reason, verdict=Verdict.INCONCLUSIVE, now=now)
        else:
            log.warning("month %s of plan %s does not begin yet: %s", live.month + 1, live.plan_id, error)
    return None


def leave_stages(now: datetime) -> None:
    """Let the rehearsal's desk leave the market once its gate 4 is over; of other targets nothing is touched."""
    over = LiveRun.objects.filter(run__state=Run.State.CLOSED, run__closed_at__gt=now - LEAVING, next=None)
    for live in over.select_related("run__campaign__target")[:AT_ONCE]:
        target = live.run.campaign.target
        if is_simulated(target) and not begins_again(live.run):
            _leave_stage(target.pk)


@transaction.atomic
def _leave_stage(target_id: int) -> None:
    """Under the target's lock: who opens a month holds it while the stage is set, and is left alone."""
    if not Target.objects.select_for_update(skip_locked=True).filter(pk=target_id).exists():
        return
    if Run.objects.filter(campaign__target=target_id, gate=GATE, state=Run.State.RUNNING).exists():
        return
    try:
        stage.switch(running=False)
    except TargetUnreachableError as error:
        log.warning("the rehearsal's desk trades on: %s", error)
