"""Moving campaigns on: one bounded step of each, asked for by every tick; safe to repeat and to race.

A campaign outlives every restart of ours since nothing of it is kept outside its rows: what a tick finds passed it
moves on, and what it finds stopped or changed it ends.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from audits.verdicts import Verdict
from gates.campaigns.commands import WATCHED_GATES, stop
from gates.campaigns.opening import GateShutError, open_gate
from gates.checks import health
from gates.models import Campaign, Finding, Run
from gates.targets.access import TargetUnreachableError, access

log = logging.getLogger(__name__)

State = Campaign.State
GOING = (State.RUNNING, State.READY, State.APPROVED)
LOOK_EVERY = {"production": timedelta(seconds=30)}
LOOK_EVERY_ELSE = timedelta(seconds=3)
AT_ONCE = 20
OPENING_LIMIT = timedelta(minutes=10)  # how long a whole campaign tries to open its next gate
GATES_IN_ORDER = (1, 2, 3)


def advance(now: datetime, send: Callable[[int], object] | None = None) -> int:
    """Have one step of each campaign done that it is time for: by `send`, else here. Returns how many.

    1. Stop those in whose run another build was seen. 2. Step those that nobody has looked at for a while.
    """
    _stop_changed(now)
    ids = due(now)
    for campaign_id in ids:
        (send or (lambda one: step(one, now)))(campaign_id)
    return len(ids)


def due(now: datetime) -> list[int]:
    """Return the campaigns to look at, those that waited longest first, a few at a time.

    While gate 1 or 4 watches the target itself, nobody needs to look at it once more.
    """
    watching = Run.objects.filter(campaign=OuterRef("pk"), state=Run.State.RUNNING, gate__in=WATCHED_GATES)
    going = Campaign.objects.filter(~Exists(watching), _stale(now), state__in=GOING)
    return list(going.order_by("looked_at", "pk").values_list("pk", flat=True)[:AT_ONCE])


def step(campaign_id: int, now: datetime) -> bool:
    """Do one step of a campaign, unless somebody else just did. Returns whether it was looked at.

    1. Claim the look. 2. Compare the target's build with the campaign's. 3. Note that it is ready, or open its next
    gate where it is whole.
    """
    if not Campaign.objects.filter(_stale(now), pk=campaign_id, state__in=GOING).update(looked_at=now):
        return False
    campaign = Campaign.objects.select_related("target").get(pk=campaign_id)
    if _changed(campaign, now) or campaign.state != State.RUNNING:
        return True
    verdicts = dict(campaign.runs.filter(gate__in=GATES_IN_ORDER).values_list("gate", "verdict"))
    if all(verdicts.get(gate) == Verdict.PASSED for gate in GATES_IN_ORDER):
        Campaign.objects.filter(pk=campaign_id, state=State.RUNNING).update(state=State.READY)
    elif campaign.whole and all(verdict == Verdict.PASSED for verdict in verdicts.values()):
        _open_next(campaign, max(verdicts, default=0) + 1, now)
    return True


def _stale(now: datetime) -> Q:
    """On the campaign's own columns only, so that of two who claim a look one wins."""
    long_ago = Q(profile="production", looked_at__lt=now - LOOK_EVERY["production"]) | (
        ~Q(profile="production") & Q(looked_at__lt=now - LOOK_EVERY_ELSE)
    )
    return Q(looked_at=None) | long_ago


def _stop_changed(now: datetime) -> None:
    seen = Finding.objects.filter(
        rule="another build", run__state=Run.State.RUNNING, run__campaign__state__in=(*GOING, State.LIVE)
    )
    for campaign_id, measured in seen.order_by("pk").values_list("run__campaign", "measured")[:AT_ONCE]:
        stop(campaign_id, _another_build(measured), verdict=Verdict.FAILED, now=now)


def _changed(campaign: Campaign, now: datetime) -> bool:
    """Stop the campaign when its target has another build now. A target that does not answer tells nothing."""
    try:
        build = health.observe(access(campaign.target.spec)).get("build")
    except TargetUnreachableError:
        return False
    if not build or build == campaign.build:
        return False
    stop(campaign.pk, _another_build(build), verdict=Verdict.INCONCLUSIVE, now=now)
    return True


def _another_build(build: str) -> str:
    return f"The target's build changed in mid-campaign: it is {build} now. Start a new campaign with this build."


def _open_next(campaign: Campaign, gate: int, now: datetime) -> None:
    """Open the next gate; what keeps it shut for too long stops the campaign, with that reason."""
    try:
        open_gate(campaign, gate, now)
    except GateShutError as error:
        last = campaign.runs.order_by("-gate").values_list("closed_at", flat=True).first()
        if now - (last or campaign.started_at) > OPENING_LIMIT:
            reason = f"Gate {gate} could not be opened for {OPENING_LIMIT.seconds // 60} min: {error}"
            stop(campaign.pk, reason, verdict=Verdict.INCONCLUSIVE, now=now)
        else:
            log.warning("gate %s of campaign %s stays shut for now: %s", gate, campaign.pk, error)
