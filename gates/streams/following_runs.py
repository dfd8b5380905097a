"""Which runs are followed and watched, and how their targets are reached."""

import logging
from dataclasses import dataclass, field, replace

from gates.alerts.rechecking import WATCH, standing
from gates.alerts.thresholds import DEFAULTS, BadThresholdError, thresholds_of
from gates.alerts.watching.run_watch import WatchedTarget
from gates.live_capital.environments import WrongEnvironmentError
from gates.live_capital.reaching import live_access, live_spec
from gates.models import RuleWatch, Run
from gates.streams.telling import Watched
from gates.targets.access import TargetUnreachableError, access, resolved

log = logging.getLogger(__name__)

REACHED = {1: access, 4: live_access}  # the gates that watch a broker over days, and how they reach it
MOST_RUNS = 1000
MOST_ENDED = 100


@dataclass(frozen=True, slots=True)
class Followed:
    """One run: its streams, and what is watched of its target. One that is `ended` is only looked at again."""

    streams: Watched = field(repr=False)
    target: WatchedTarget = field(repr=False)
    ended: bool


def runs_to_follow() -> dict[int, Followed]:
    """Return the runs to follow, by id; one that cannot be reached is left to its own slots.

    Those are the running ones, and of a target that none runs of the last one, while alerts of it wait for a look.
    """
    running = Run.objects.filter(state=Run.State.RUNNING, gate__in=REACHED).select_related("campaign__target")
    found: dict[int, Followed] = {}
    for run in [*running.order_by("pk")[:MOST_RUNS], *_ended()]:
        try:
            found[run.pk] = _followed(run)
        except (TargetUnreachableError, WrongEnvironmentError) as error:
            log.warning("run %s is not followed: %s", run.pk, error)
    return found


def _ended() -> list[Run]:
    waiting = standing().filter(cause__by=[WATCH], run__gate__in=REACHED)
    worlds = waiting.values_list("target_id", "run__gate").distinct()
    ended = []
    for target_id, gate in worlds.order_by("target_id", "run__gate")[:MOST_ENDED]:
        runs = Run.objects.filter(campaign__target=target_id, gate=gate).select_related("campaign__target")
        last = runs.order_by("-pk").first()
        if last is not None and not last.is_open and not runs.filter(state=Run.State.RUNNING).exists():
            ended.append(last)
    return ended


def _followed(run: Run) -> Followed:
    spec = run.campaign.target.spec
    reach = REACHED[run.gate](spec)
    limits = _limits(run)
    plan_s = float(run.plan["stop_limit_s"])
    streams = Watched(
        run.pk, reach.broker_url, reach.broker_account, reach.broker_token, plan_s, limits["stop_latency_ms"]
    )
    process = (live_spec(spec) if run.gate == 4 else spec).get("process") or {}
    disks = process.get("disks")
    target = WatchedTarget(
        run_id=run.pk,
        target_id=run.campaign.target_id,
        live=run.gate == 4,
        access=reach,
        limits=limits | {"stop_missed_s": plan_s},
        since=run.planned_start,
        pid=run.baseline.get("pid"),
        started_ticks=run.baseline.get("started_ticks"),
        log=_log(process.get("log")),
        disks=tuple(map(str, disks)) if isinstance(disks, list) else (),
    )
    return Followed(streams, target, ended=not run.is_open)


def _limits(run: Run) -> dict[str, float]:
    """The target's own limits; a description that was spoilt after it was added must not switch the watch off."""
    try:
        return thresholds_of(run.campaign.target.spec)
    except BadThresholdError as error:
        log.warning("run %s is watched by the limits of the table: %s", run.pk, error)
        return dict(DEFAULTS)


def _log(path: object) -> str:
    try:
        return resolved(path, "[process] log") if isinstance(path, str) else ""
    except TargetUnreachableError:
        return ""  # the rule says that it has no log


def going_on(target: WatchedTarget) -> WatchedTarget:
    """Return what is watched, from where an earlier process had looked at the run last."""
    looks = RuleWatch.objects.filter(run=target.run_id).order_by("-looked_at")
    looked_at = looks.values_list("looked_at", flat=True).first()
    return target if looked_at is None else replace(target, since=looked_at)
