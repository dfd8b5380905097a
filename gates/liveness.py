"""Between health slots: a process of this machine that dies in mid-run is a critical error at once."""

from datetime import datetime

import psutil
from django.db import transaction
from django.db.models import F

from gates import engine
from gates.models import Run, RunEvent


def watch(now: datetime) -> None:
    """Look at the process of every running run; note a death once, and a return once."""
    for run in Run.objects.filter(state=Run.State.RUNNING).select_related("campaign__target"):
        _note(run, alive=_alive(run.baseline), now=now)


def _alive(baseline: dict[str, float]) -> bool | None:
    """Return whether the process of the baseline lives, or None when it cannot be seen from this machine."""
    if "pid" not in baseline or "created_at" not in baseline:
        return None
    try:
        process = psutil.Process(int(baseline["pid"]))
        return process.create_time() == baseline["created_at"] and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return None


@transaction.atomic
def _note(run: Run, *, alive: bool | None, now: datetime) -> None:
    if alive is not False:
        return
    Run.objects.select_for_update().get(pk=run.pk)  # two ticks at once note one death
    if run.events.filter(kind=RunEvent.Kind.TARGET_DIED).exists():
        return
    sentence = f"The target's process {run.baseline['pid']} died."
    RunEvent.objects.create(run=run, at=now, kind=RunEvent.Kind.TARGET_DIED, level="critical", sentence=sentence)
    engine.raise_alert(run, rule="system crash", level="critical", sentence=sentence, event_at=now, now=now)
    Run.objects.filter(pk=run.pk).update(cursor=F("cursor") + 1)
