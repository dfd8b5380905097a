"""What pages and commands need to read."""

from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet

from gates.models import Alert, Beat, Run, Slot


def last_tick_age_s(now: datetime) -> float | None:
    """Return the age of the last tick in seconds, or None when there has been none."""
    last = Beat.objects.filter(kind="tick").values_list("last_at", flat=True).first()
    return None if last is None else (now - last).total_seconds()


def current_run() -> Run | None:
    """Return the run to show first: the running one, else the newest."""
    runs = Run.objects.select_related("campaign__target").order_by("-planned_start")
    return runs.filter(state=Run.State.RUNNING).first() or runs.first()


def open_alerts() -> QuerySet[Alert]:
    """Return alerts that are not resolved, by time left."""
    return Alert.objects.exclude(state=Alert.State.RESOLVED).select_related("run", "target").order_by("deadline_at")


def slot_counts(run: Run) -> dict[str, int]:
    """Return planned, passed, failed, inconclusive (holes among them) and holes."""
    return run.slots.aggregate(
        planned=Count("pk"),
        passed=Count("pk", filter=Q(verdict="passed")),
        failed=Count("pk", filter=Q(verdict="failed")),
        inconclusive=Count("pk", filter=Q(verdict="inconclusive")),
        holes=Count("pk", filter=Q(state=Slot.State.HOLE)),
    )


def curves(run: Run, limit: int = 2000) -> dict[str, list[dict[str, Any]]]:
    """Return what each check measured over time, newest `limit` slots of each check, oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for check_name in run.slots.order_by().values_list("check_name", flat=True).distinct():
        rows = run.slots.filter(check_name=check_name, state=Slot.State.DONE).order_by("-due_at")
        newest = rows.values_list("due_at", "result__measured")[:limit]
        found[check_name] = [{"at": due_at.isoformat()} | measured for due_at, measured in reversed(newest)]
    return found
