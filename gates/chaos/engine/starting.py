"""Starting engines, and taking over from dead ones. Called by every tick; safe to repeat and to race."""

import logging
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

from django.db.models import F, Q

from gates.chaos.engine import closing, posts
from gates.chaos.engine.healing import heal_left
from gates.models import ChaosRun, Run, ScenarioRun

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
    take_over(now)
    _start_engines(now)


def take_over(now: datetime) -> None:
    """Undo what dead engines of this machine have left, and free what they had claimed."""
    heal_left(now)
    posts.free_dead()


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
            if not posts.is_worked_on(chaos.run_id, now):
                _give_up(chaos, now)
            continue
        argv = (sys.executable, "-m", "gates.chaos", str(chaos.run_id))
        try:
            _started.append(subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL))  # noqa: S603  argv is ours
        except OSError:
            log.exception("no engine could be started for run %s; the next tick tries again", chaos.run_id)


def _give_up(chaos: ChaosRun, now: datetime) -> None:
    """Close what is left as inconclusive: the engine has died too often, and no other machine's works on it."""
    reason = chaos.trouble or f"The engine ended {ATTEMPTS} times before its work was done: see the worker's log."
    for scenario in ScenarioRun.objects.filter(run_id=chaos.run_id).exclude(phase="done"):
        closing.close_scenario(scenario, worker="attend", now=now, reason=reason)
