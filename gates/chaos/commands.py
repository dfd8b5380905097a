"""What people cause: starting a run of gate 2."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.db import transaction

from gates.campaigns.searching import description_sha256
from gates.campaigns.turns import whose_turn
from gates.chaos.engine.healing import UNHEALED
from gates.chaos.messages import Direction, Point, Strike
from gates.chaos.plans import ChaosPlan, chaos_plan_for
from gates.chaos.safety import demand_safe
from gates.chaos.scenarios import scenarios_of
from gates.chaos.strikes.invariants import protection_limit_ms
from gates.checks import health
from gates.models import Campaign, ChaosRun, Heal, Run, RunEvent, ScenarioRun, Slot, Target
from gates.targets.access import access, cells_ledger
from gates.targets.environment import environment_of
from gates.targets.programs import OPERATIONS, program_of
from gates.targets.ways import ways_of

GATE = 2
CELLS = 6
MOST_CELLS = 64


class CannotStrikeError(Exception):
    """A run of gate 2 cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: a target and a profile. Some `scenarios`, an `operation`, a `point` or a `strike` make it
    partial.

    With `campaign_id` it is gate 2 of that campaign or nothing at all.
    """

    target: Target
    profile: str
    scenarios: Sequence[str] = ()
    operation: str = ""
    point: str = ""
    strike: str = ""
    then: str = ""
    depth: int | None = None
    cells: int = CELLS
    campaign_id: int | None = None

    @property
    def is_part(self) -> bool:
        """Whether it is less than the whole gate."""
        return bool(self.scenarios or self.operation or self.point or self.strike or self.then)


def start_chaos(asked: Asked, *, started_by: User | None, now: datetime) -> Run:
    """Start a run of gate 2; it may be done at any time, but counts only in its turn.

    The build looked at here is the running target's; which one the cells strike is compared by the engine.

    1. Look at what is asked for, and where it would strike. 2. Find the campaign whose gate 1 passed and whose gate 2
    has not run; without one, or for a part, the run is a campaign of its own that opens nothing.
    3. In one transaction: the run, a slot and a row for each scenario, the lease row, the first event.

    Raises CannotStrikeError, UnknownProfileError, UnsafeError, TargetUnreachableError.
    """
    plan, names = chaos_plan_for(asked.profile), _names(asked)
    spec = asked.target.spec
    reach, host = access(spec), urlsplit(cells_ledger(spec)).hostname
    allowed = (spec.get("chaos") or {}).get("allowed_hosts") or ()
    demand_safe(program_of(spec), host or "127.0.0.1", allowed, ways_of(spec))
    build = str(health.observe(reach).get("build") or "")
    baseline = {
        "environment": environment_of(spec, reach, now, cells=True),
        "protection_limit_ms": protection_limit_ms(spec),
    }
    with transaction.atomic():
        target = Target.objects.select_for_update().get(pk=asked.target.pk)
        _demand_free(asked.target, now)
        campaign, why_not = _its_turn(asked, target, build)
        if asked.campaign_id is not None and (campaign is None or campaign.pk != asked.campaign_id):
            raise CannotStrikeError(why_not or f"{campaign} is open now.")
        if campaign is None:
            campaign = Campaign.objects.create(
                target=asked.target,
                profile=asked.profile,
                build=build or "unknown",
                started_by=started_by,
                started_at=now,
            )
        chaos = ChaosRun(
            started_by=started_by,
            counted=not why_not,
            not_counted_because=why_not,
            mode=plan.mode,
            sampled=plan.sampled or None,
            depth=_depth(asked, plan),
            only_then=asked.then,
            only_operation=asked.operation,
            only_point=asked.point,
            only_strike=asked.strike,
            cells=asked.cells,
        )
        run = _run_of(campaign, plan, baseline | {"description": description_sha256(target.spec)}, now)
        chaos.run = run
        chaos.save()
        _cut(run, names)
        _note(chaos, names, now)
        return run


def _names(asked: Asked) -> tuple[str, ...]:
    """The scenarios that are asked for, all without a name. Raises CannotStrikeError, TargetUnreachableError."""
    known = tuple(scenario.name for scenario in scenarios_of(asked.target.spec))
    chosen = [name.replace(" ", "_") for name in asked.scenarios]  # pages and the README write them as words
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise CannotStrikeError(f"There is no scenario {unknown[0]!r}: choose of {', '.join(known)}.")
    if asked.operation not in ("", *OPERATIONS):
        raise CannotStrikeError(f"There is no operation {asked.operation!r}: choose of {', '.join(OPERATIONS)}.")
    if not 1 <= asked.cells <= MOST_CELLS:
        raise CannotStrikeError(f"{asked.cells} cells cannot be run: give a number from 1 to {MOST_CELLS}.")
    for point in (asked.point, asked.then):
        try:
            Point.parse(point or "ledger:request:1:COMMIT")
        except ValueError as error:
            raise CannotStrikeError(f"{error}.") from error
    return tuple(name for name in known if not chosen or name in chosen)


def _depth(asked: Asked, plan: ChaosPlan) -> int:
    """2 strikes the recovery too. One point alone is struck once, unless a point of its recovery is named; so is a kind
    of strike that no recovery is struck after. Raises CannotStrikeError.
    """
    followed = asked.strike in ("", Strike.KILL_BEFORE) or _is_kill_after_request(asked)
    if not followed and (asked.then or asked.depth == 2):
        raise CannotStrikeError(
            f"No second strike follows '{asked.strike}': only '{Strike.KILL_BEFORE}' leaves the same books each time, "
            f"and '{Strike.KILL_AFTER}' at the point of a request. Choose that one, or ask for depth 1."
        )
    if asked.then:
        return 2
    return asked.depth or (1 if asked.point or not followed else plan.depth)


def _is_kill_after_request(asked: Asked) -> bool:
    """Whether it is a kill after a request, which leaves the same books each time too: see `Trial.leaves_one_state`."""
    at = Point.parse(asked.point) if asked.point else None
    return asked.strike == Strike.KILL_AFTER and at is not None and at.direction is Direction.REQUEST


def _demand_free(target: Target, now: datetime) -> None:
    if Run.objects.filter(campaign__target=target, gate=GATE, state=Run.State.RUNNING).exists():
        raise CannotStrikeError(f"Chaos on {target} is going on: wait for its end.")
    left = Heal.objects.filter(
        crash_point__scenario__run__campaign__target=target, healed_at=None, due_at__lt=now
    ).first()
    if left is not None:
        raise CannotStrikeError(
            f"{target} is shut: {left} is overdue since {left.due_at:%H:%M:%S}. Each tick tries it again, and what "
            f"keeps it from being undone stands in the alert '{UNHEALED}'{_place_of(left)}."
        )


def _place_of(heal: Heal) -> str:
    """Where the database is that is still to be dropped; empty where that is not known."""
    what = heal.what
    return f": its database {what['database']} is on {what['server']}" if what.get("server") else ""


def _its_turn(asked: Asked, target: Target, build: str) -> tuple[Campaign | None, str]:
    """Return the campaign whose gate 2 this run is, or None and why it does not count."""
    if asked.is_part:
        return None, "It makes a part of the strikes only."
    return whose_turn(target, asked.profile, gate=GATE, build=build)


def _run_of(campaign: Campaign, plan: ChaosPlan, baseline: dict[str, Any], now: datetime) -> Run:
    end = now + timedelta(seconds=plan.limit_s)
    return Run.objects.create(
        campaign=campaign, gate=GATE, plan=asdict(plan), planned_start=now, planned_end=end, baseline=baseline
    )


def _cut(run: Run, names: Sequence[str]) -> None:
    """A slot and a row for each scenario."""
    start, end = run.planned_start, run.planned_end
    every = scenarios_of(run.campaign.target.spec)
    numbers = {scenario.name: number for number, scenario in enumerate(every, start=1)}
    for name in names:
        # Due and over at the same moment: no tick takes such a slot, the engine fills it before.
        slot = Slot.objects.create(
            run=run, check_name=name, window_start=start, window_end=end, due_at=end, grace_until=end
        )
        ScenarioRun.objects.create(run=run, slot=slot, name=name, number=numbers[name])


def _note(chaos: ChaosRun, names: Sequence[str], now: datetime) -> None:
    """The first event: how much is struck, and whether it counts."""
    strikes = "1 strike" if chaos.sampled == 1 else f"{chaos.sampled} strikes"
    how = f"{strikes} of each kind" if chaos.sampled else "every crash point"
    counts = "It counts as gate 2." if chaos.counted else f"It does not count as gate 2: {chaos.not_counted_because}"
    run = chaos.run
    sentence = f"Chaos on {run.campaign.target} started: {len(names)} scenarios, {how}, {chaos.mode} mode. {counts}"
    RunEvent.objects.create(run=run, at=now, kind=RunEvent.Kind.STARTED, sentence=sentence)
