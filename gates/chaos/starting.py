"""Starting engines, and healing what a dead one left behind. Called by every tick; safe to repeat and to race."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
from django.db.models import F, Q

from gates.alerts.raising import Event, raise_event
from gates.alerts.rechecking import HEAL
from gates.chaos import closing, work
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.processes import NotOursError, is_running
from gates.models import ChaosRun, CrashPoint, Heal, Run, ScenarioRun
from gates.targets.access import TargetUnreachableError, cells_ledger

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
STARTING = timedelta(seconds=30)  # until the engine renews the lease itself
ATTEMPTS = 20
AT_ONCE = 20
HEALS_AT_ONCE = 4  # a tick is short; the next one goes on
UNHEALED = "unhealed fault"
_started: list[subprocess.Popen[bytes]] = []  # by this process, whose children they are: nobody else can bury them


def attend(now: datetime) -> None:
    """See that somebody works on each open run, and that nothing stays broken.

    1. Take note of engines of ours that have ended. 2. Heal what dead engines have left, and free what they had
    claimed. 3. Start an engine for each run without one.
    """
    _started[:] = [engine for engine in _started if engine.poll() is None]
    heal_left(now)
    free_dead()
    _start_engines(now)


def heal_left(now: datetime) -> None:
    """Carry out the heals whose engine is dead, and those that are overdue."""
    left = Heal.objects.filter(healed_at=None).select_related("crash_point__scenario__run__campaign__target")
    for heal in left[:HEALS_AT_ONCE]:
        if heal.due_at < now or is_dead(str(heal.what.get("engine", ""))):
            _heal(heal, now)


def is_dead(worker: str) -> bool:
    """Whether a worker of this machine is dead, by its number and start time; of another machine nothing is known."""
    host, _, rest = worker.rpartition(":")
    host, _, pid = host.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit() or not rest.isdigit():
        return False
    return not is_running(int(pid), int(rest))


def _heal(heal: Heal, now: datetime) -> None:
    """Undo it by force: the target's process is killed, its database dropped; proxies end with their engine."""
    run = heal.crash_point.scenario.run
    try:
        _kill(heal.what.get("target_pid"), heal.what.get("target_started_ticks"))
        if heal.what.get("database"):
            server = LedgerServer(cells_ledger(run.campaign.target.spec))
            asyncio.run(server.drop(str(heal.what["database"])))
    except (OSError, psycopg.Error, TargetUnreachableError, NotOursError) as error:
        log.exception("heal %s", heal.pk)
        if heal.due_at < now:
            sentence = f"{heal} could not be undone: {str(error)[:200]}"
            event = Event(UNHEALED, "critical", sentence, heal.due_at, {"by": [HEAL], "heal": heal.pk})
            raise_event(event, target=run.campaign.target, run=run, now=now)
        return
    work.note_healed(heal.pk, by=f"{socket.gethostname()}:{os.getpid()}", now=now)


def _kill(pid: int | None, ticks: int | None) -> None:
    """SIGKILL a process if it still is the one that the engine started."""
    if pid is None or ticks is None or not is_running(pid, ticks):
        return
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if is_running(pid, ticks):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def free_dead() -> None:
    """Free the leases of dead workers of this machine, so that their work is taken again at once."""
    for model, open_rows in (
        (CrashPoint, CrashPoint.objects.exclude(phase="done")),
        (ScenarioRun, ScenarioRun.objects.filter(phase="baseline")),
        (ChaosRun, ChaosRun.objects.filter(run__state=Run.State.RUNNING)),
    ):
        held = open_rows.exclude(lease_until=None).exclude(worker="")
        for worker in set(held.order_by().values_list("worker", flat=True)):
            if is_dead(worker):
                ids = list(held.filter(worker=worker).values_list("pk", flat=True))
                model.objects.filter(pk__in=ids, worker=worker).update(lease_until=None, worker="")


def _start_engines(now: datetime) -> None:
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    unfinished = ScenarioRun.objects.exclude(phase="done").values("run")
    waiting = ChaosRun.objects.filter(free, run__state=Run.State.RUNNING, run__in=unfinished)
    for chaos in waiting.order_by("pk")[:AT_ONCE]:
        won = ChaosRun.objects.filter(free, pk=chaos.pk).update(
            lease_until=now + STARTING, attempt=F("attempt") + 1, worker=""
        )
        if not won:
            continue
        if chaos.attempt >= ATTEMPTS:
            _give_up(chaos, now)
            continue
        argv = (sys.executable, "-m", "gates.chaos", str(chaos.run_id))
        try:
            _started.append(subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL))  # noqa: S603  argv is ours
        except OSError:
            log.exception("no engine could be started for run %s; the next tick tries again", chaos.run_id)


def _give_up(chaos: ChaosRun, now: datetime) -> None:
    """Close what is left as inconclusive: the engine has died too often."""
    reason = chaos.trouble or f"The engine ended {ATTEMPTS} times before its work was done: see the worker's log."
    for scenario in ScenarioRun.objects.filter(run_id=chaos.run_id).exclude(phase="done"):
        closing.close_scenario(scenario, worker="attend", now=now, reason=reason)
