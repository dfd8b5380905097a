"""Starting engines, and taking over from dead ones. Called by every tick; safe to repeat and to race."""

import logging
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

from django.db.models import F, Q

from gates.chaos.engine import closing
from gates.chaos.engine.healing import heal_left
from gates.models import ChaosRun, CrashPoint, Run, ScenarioRun
from gates.workers import is_dead

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[3]
STARTING = timedelta(seconds=30)  # until the engine renews the lease itself
ATTEMPTS = 20
AT_ONCE = 20
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
