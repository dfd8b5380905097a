"""Which engine ticks see at a run, and what engines let go of that are gone."""

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from gates.chaos.engine.work import LEASE
from gates.models import ChaosRun, CrashPoint, Run, ScenarioRun
from gates.models.chaos import Phase
from gates.workers import is_dead, is_here

LEFT_TO_TICKS = timedelta(seconds=10)  # a tick starts an engine where the portal runs, if there is any tick
MOST_RUNS = 100


def take_post(run_id: int, *, worker: str, now: datetime) -> bool:
    """Be the engine that ticks see at the run, if there is none or a tick has only just started one; whether it is.

    Any other engine only helps: no tick starts one in its place.
    """
    vacant = Q(lease_until=None) | Q(lease_until__lt=now) | Q(worker="")
    return bool(ChaosRun.objects.filter(vacant, run_id=run_id).update(worker=worker, lease_until=now + LEASE))


def leave_post(run_id: int, *, worker: str, trouble: str = "") -> None:
    """Let ticks start another engine at once; `trouble` says why this one could not work."""
    said = {"trouble": trouble} if trouble else {}
    ChaosRun.objects.filter(run_id=run_id, worker=worker).update(worker="", lease_until=None, **said)


def run_to_help(now: datetime, *, but: frozenset[int] = frozenset()) -> int | None:
    """Return the oldest open run that another machine's engine works on, or that no tick has started one for in time.

    What this machine's ticks have started an engine for is left to that engine: it has as many cells as were asked for.
    """
    unfinished = ScenarioRun.objects.exclude(phase=Phase.DONE).values("run")
    going = ChaosRun.objects.filter(run__state=Run.State.RUNNING, run__in=unfinished).exclude(run__in=but)
    for chaos in going.select_related("run").order_by("run_id")[:MOST_RUNS]:
        held = chaos.lease_until is not None and chaos.lease_until > now
        elsewhere = held and chaos.worker != "" and not is_here(chaos.worker)
        if elsewhere or (not held and chaos.run.planned_start < now - LEFT_TO_TICKS):
            return chaos.run_id
    return None


def is_worked_on(run_id: int, now: datetime) -> bool:
    """Whether an engine, whichever, holds a row of the run or has finished one within the last lease."""
    points = CrashPoint.objects.filter(scenario__run=run_id)
    lately = points.filter(Q(lease_until__gt=now) | Q(finished_at__gt=now - LEASE))
    return lately.exists() or ScenarioRun.objects.filter(run_id=run_id, lease_until__gt=now).exists()


def is_at_work(worker: str, now: datetime) -> bool:
    """Whether a worker, of whichever machine, has renewed what it has claimed within the last lease."""
    return any(rows.filter(worker=worker, lease_until__gt=now).exists() for rows in _open_rows())


def release(worker: str) -> None:
    """Let go of all that a worker has claimed: it does not work on it any more, and others take it at once."""
    for rows in _open_rows():
        ids = list(rows.filter(worker=worker).exclude(lease_until=None).values_list("pk", flat=True))
        rows.model.objects.filter(pk__in=ids, worker=worker).update(lease_until=None, worker="")


def free_dead() -> None:
    """Free the leases of dead workers of this machine, so that their work is taken again at once."""
    held = {
        worker
        for rows in _open_rows()
        for worker in rows.exclude(lease_until=None).exclude(worker="").order_by().values_list("worker", flat=True)
    }
    for worker in sorted(held):
        if is_dead(worker):
            release(worker)


def _open_rows() -> tuple[QuerySet[CrashPoint], QuerySet[ScenarioRun], QuerySet[ChaosRun]]:
    return (
        CrashPoint.objects.exclude(phase=Phase.DONE),
        ScenarioRun.objects.filter(phase=Phase.BASELINE),
        ChaosRun.objects.filter(run__state=Run.State.RUNNING),
    )
