"""Between health slots: a process of this machine that dies in mid-run is a critical error at once."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from gates.alerts.raising import Event, raise_event
from gates.alerts.rechecking import WATCH
from gates.alerts.rules import system_crash
from gates.checks.processes import is_running
from gates.models import Run, RunEvent


def watch(now: datetime) -> None:
    """Look at the process of every running run; note a death once."""
    for run in Run.objects.filter(state=Run.State.RUNNING).select_related("campaign__target"):
        if _alive(run.baseline) is False:
            _note_death(run, now)


def _alive(baseline: dict[str, float]) -> bool | None:
    """Return whether the process of the baseline lives, or None when it cannot be seen from this machine."""
    if "pid" not in baseline or "started_ticks" not in baseline:
        return None
    return is_running(int(baseline["pid"]), baseline["started_ticks"])


@transaction.atomic
def _note_death(run: Run, now: datetime) -> None:
    """Write it down under the run's lock: two ticks at once note one death, and none once the run is judged."""
    if not Run.objects.select_for_update().get(pk=run.pk).is_open:
        return
    if run.events.filter(kind=RunEvent.Kind.TARGET_DIED).exists():
        return
    sentence = f"The target's process {run.baseline['pid']} died."
    RunEvent.objects.create(run=run, at=now, kind=RunEvent.Kind.TARGET_DIED, level="critical", sentence=sentence)
    event = Event(system_crash.RULE.name, "critical", sentence, now, {"by": [WATCH], "pid": run.baseline["pid"]})
    raise_event(event, target=run.campaign.target, run=run, now=now)
    Run.objects.filter(pk=run.pk).update(cursor=F("cursor") + 1)
