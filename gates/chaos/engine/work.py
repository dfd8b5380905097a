"""The rows of a run of gate 2 as work: cut, claimed by a conditional update, recorded once. Every claim has a lease."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Q

from gates.chaos.baseline import CrashPoint as Place
from gates.chaos.messages import Strike
from gates.chaos.strikes.clean_runs import CleanRun
from gates.chaos.strikes.recovery import Result
from gates.chaos.trials import Trial
from gates.models import ChaosRun, CrashPoint, Heal, OperationBaseline, Run, ScenarioRun
from gates.models.chaos import PHASES, Phase
from gates.storable import storable

LEASE = timedelta(seconds=60)  # a dead engine of this machine is seen at once; the lease is for those of others
RENEW_S = 5.0
ATTEMPTS = 3
CUT_OFF = (
    "The engine that made this experiment before has not seen its end: nothing shows that all of its rollbacks were "
    "played. Undo by hand what they have not, then start a run anew."
)
DEEPENED = Q(seconds__isnull=False) | Q(recovery__silent=True)  # of a first strike: what depth 2 asks for is done
HEAL_WITHIN = timedelta(seconds=180)  # the longest strike and recovery; a dead engine's is healed at once


@dataclass(frozen=True, slots=True)
class Planned:
    """One operation of a scenario: its clean run, and the trials that are to be made, each with its place."""

    clean_run: CleanRun
    trials: Sequence[tuple[Place, Trial]]


def claim_scenario(run_id: int, *, worker: str, now: datetime) -> ScenarioRun | None:
    """Take a scenario whose clean runs are not recorded yet, for one lease."""
    free = ScenarioRun.objects.filter(_free(now), run_id=run_id, phase=Phase.BASELINE)
    for scenario_id in free.order_by("number").values_list("pk", flat=True)[:12]:
        won = ScenarioRun.objects.filter(_free(now), pk=scenario_id, phase=Phase.BASELINE).update(
            lease_until=now + LEASE, attempt=F("attempt") + 1, worker=worker
        )
        if won:
            return ScenarioRun.objects.get(pk=scenario_id)
    return None


@transaction.atomic
def store_plan(scenario: ScenarioRun, planned: Iterable[Planned], *, now: datetime) -> int | None:
    """Write down the clean runs and cut a row for each trial; how many. None when another attempt has it."""
    held = ScenarioRun.objects.filter(pk=scenario.pk, attempt=scenario.attempt, phase=Phase.BASELINE)
    if not held.select_for_update().exists():
        return None
    rows: list[CrashPoint] = []
    for each in planned:
        OperationBaseline.objects.create(scenario=scenario, recorded_at=now, **_baseline_fields(each.clean_run))
        rows += [_row(scenario, len(rows) + number, *pair) for number, pair in enumerate(each.trials, start=1)]
    CrashPoint.objects.bulk_create(rows, batch_size=500)
    move_scenario(scenario.pk, Phase.ARMED, now=now)
    return len(rows)


def is_deepened(point: CrashPoint, exact: str) -> bool:
    """Whether the recovery from exactly this durable state is struck already, as an engine before may have planned, or
    was shown to send nothing. Where nothing exact is said no other stands for it.
    """
    same = {"scenario": point.scenario_id, "operation": point.operation, "exact": exact} if exact else {"pk": point.pk}
    return CrashPoint.objects.filter(DEEPENED, **same).exists()


def claim_point(run_id: int, *, worker: str, now: datetime, prefer: str = "") -> CrashPoint | None:
    """Take a crash point for one lease, of the operation `prefer` if there is one."""
    scenarios = ScenarioRun.objects.filter(run_id=run_id).exclude(phase__in=(Phase.BASELINE, Phase.DONE))
    open_points = CrashPoint.objects.filter(scenario_id__in=list(scenarios.values_list("pk", flat=True)))
    free = open_points.filter(_free(now)).exclude(phase=Phase.DONE).order_by("scenario_id", "number")
    for candidates in (free.filter(operation=prefer), free):
        for point_id in candidates.values_list("pk", flat=True)[:20]:
            won = (
                CrashPoint.objects.filter(_free(now), pk=point_id)
                .exclude(phase=Phase.DONE)
                .update(
                    lease_until=now + LEASE,
                    attempt=F("attempt") + 1,
                    worker=worker,
                    phase=Phase.BASELINE,
                    phase_at={Phase.BASELINE: now.isoformat()},
                )
            )
            if won:
                return CrashPoint.objects.select_related("scenario", "first").get(pk=point_id)
    return None


def give_back(point: CrashPoint) -> None:
    """Let somebody take the crash point again at once."""
    CrashPoint.objects.filter(pk=point.pk, attempt=point.attempt).exclude(phase=Phase.DONE).update(lease_until=None)


def give_back_scenario(scenario: ScenarioRun) -> None:
    """Let somebody record its clean runs again at once."""
    mine = ScenarioRun.objects.filter(pk=scenario.pk, attempt=scenario.attempt, phase=Phase.BASELINE)
    mine.update(lease_until=None)


def renew(worker: str, now: datetime) -> None:
    """Hold everything this worker has claimed for another lease."""
    CrashPoint.objects.filter(worker=worker, lease_until__gt=now).exclude(phase=Phase.DONE).update(
        lease_until=now + LEASE
    )
    ScenarioRun.objects.filter(worker=worker, lease_until__gt=now, phase=Phase.BASELINE).update(lease_until=now + LEASE)
    ChaosRun.objects.filter(worker=worker).update(lease_until=now + LEASE)


def reached(point: CrashPoint, phase: str, *, now: datetime) -> None:
    """Note how far a crash point has come, and with it its scenario."""
    point.phase_at |= {phase: now.isoformat()}
    mine = CrashPoint.objects.filter(pk=point.pk, attempt=point.attempt).exclude(phase=Phase.DONE)
    mine.update(phase=phase, phase_at=point.phase_at)
    move_scenario(point.scenario_id, phase, now=now)


def move_scenario(scenario_id: int, phase: str, *, now: datetime) -> None:
    """Move a scenario forward to `phase`, never back; `phase_at` keeps when."""
    before = PHASES[: PHASES.index(phase)]
    for scenario in ScenarioRun.objects.filter(pk=scenario_id, phase__in=before):
        at = scenario.phase_at | {phase: now.isoformat()}
        ScenarioRun.objects.filter(pk=scenario_id, phase__in=before).update(phase=phase, phase_at=at)
        Run.objects.filter(pk=scenario.run_id).update(cursor=F("cursor") + 1)


def write_heal(point: CrashPoint, what: dict[str, Any], *, now: datetime) -> Heal:
    """Commit what must be undone, before the strike."""
    return Heal.objects.create(
        crash_point=point,
        attempt=point.attempt,
        fault=point.fault,
        what=what,
        written_at=now,
        due_at=now + HEAL_WITHIN,
    )


def is_followed(heal: Heal, now: datetime) -> bool:
    """Whether the attempt that made the strike still holds its crash point, however long that takes: it undoes it."""
    point = heal.crash_point
    held = point.lease_until is not None and point.lease_until > now
    return held and point.attempt == heal.attempt and point.phase != Phase.DONE


def cut_off(point: CrashPoint) -> str:
    """Why an experiment is not made again: the engine of an attempt before has not seen its end, so that another has
    undone it, or nobody yet. Empty where it may be made, as every other strike may: a heal undoes all of those.
    """
    if point.strike != Strike.EXPERIMENT:
        return ""
    before = point.heals.filter(attempt__lt=point.attempt)
    return CUT_OFF if any(heal.healed_by != heal.what.get("engine") for heal in before) else ""


def note_healed(heal_id: int, *, by: str, now: datetime) -> bool:
    """Note once that it is undone."""
    return bool(Heal.objects.filter(pk=heal_id, healed_at=None).update(healed_at=now, healed_by=by))


@transaction.atomic
def record(point: CrashPoint, result: Result, seconds: Sequence[tuple[Place, Trial]] = (), *, now: datetime) -> bool:
    """Close the crash point with its result. Returns whether it was closed.

    It is not where another attempt has taken it, or the run is closed: the sealed report says what it was by then.
    Its second strikes are cut in the same transaction, so that its scenario never looks over in between.
    """
    if not Run.objects.select_for_update().filter(pk=point.scenario.run_id, state=Run.State.RUNNING).exists():
        return False
    closed = (
        CrashPoint.objects.filter(pk=point.pk, attempt=point.attempt)
        .exclude(phase=Phase.DONE)
        .update(
            phase=Phase.DONE,
            phase_at=point.phase_at | {Phase.DONE: now.isoformat()},
            verdict=result.verdict if result.applies else None,
            applies=result.applies,
            reason=storable(result.reason),
            receipt=storable(result.receipt),
            recovery_ms=result.recovery_ms,
            findings=storable([asdict(found) for found in result.findings]),
            changes=storable(result.changes),
            end=result.end,
            state_after_kill=result.after_kill,
            exact=result.exact,
            same_as_id=result.same_as,
            messages=storable(result.messages),
            log=storable(result.log),
            took_ms=result.took_ms,
            recovery={"silent": True} if result.silent else _recovery_of(seconds),
            finished_at=now,
            lease_until=None,
        )
    )
    if closed:
        _cut_seconds(point, seconds, result.exact)
        Run.objects.filter(pk=point.scenario.run_id).update(cursor=F("cursor") + 1)
    return bool(closed)


def _recovery_of(seconds: Sequence[tuple[Place, Trial]]) -> dict[str, Any] | None:
    """The order of the recovery's messages, by which each second strike is shown to be at its own."""
    return next((trial.then.shape() for _, trial in seconds if trial.then), None)


def _cut_seconds(first: CrashPoint, seconds: Sequence[tuple[Place, Trial]], exact: str) -> None:
    """Cut a row for each second strike, behind all that the scenario has; none where another engine, which recorded the
    recovery from exactly this state at the same time, has cut them.
    """
    if not seconds:
        return
    scenario = ScenarioRun.objects.select_for_update().get(pk=first.scenario_id)
    if is_deepened(first, exact):
        return
    last = scenario.crash_points.aggregate(last=Max("number"))["last"] or 0
    rows = []
    for number, (place, trial) in enumerate(seconds, start=last + 1):
        row = _row(scenario, number, Place(trial.point, first.label, first.position), trial)
        row.first, row.then_label = first, place.label
        rows.append(row)
    CrashPoint.objects.bulk_create(rows, batch_size=500)


def _baseline_fields(clean_run: CleanRun) -> dict[str, Any]:
    first = clean_run.recordings[0]
    began = first.messages[0].at_s if first.messages else 0.0
    return {
        "operation": clean_run.operation,
        "clean": clean_run.clean.shape(),
        "took_ms": clean_run.took_ms,
        "build": clean_run.build,
        "messages": [
            {
                "channel": message.channel,
                "direction": message.direction,
                "label": message.label,
                "point": str(point),
                "at_ms": round((message.at_s - began) * 1000, 2),
            }
            for point, message in first.points().items()
        ],
        "background": [{"point": str(each.point), "label": each.label} for each in clean_run.baseline.background],
    }


def _row(scenario: ScenarioRun, number: int, place: Place, trial: Trial) -> CrashPoint:
    return CrashPoint(
        scenario=scenario,
        number=number,
        operation=trial.operation,
        point=str(trial.point),
        label=place.label,
        position=place.position,
        strike=trial.strike,
        parameters=dict(trial.parameters),
        half_open=trial.half_open,
        then_point=str(trial.then.point) if trial.then else "",
        then_strike=trial.then.strike if trial.then else "",
        fault=trial.fault,
    )


def _free(now: datetime) -> Q:
    """On the row's own columns only, so that of two who claim at once one wins."""
    return Q(lease_until=None) | Q(lease_until__lt=now)
