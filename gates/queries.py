"""What pages and commands need to read."""

from datetime import datetime
from typing import Any

from django.db.models import Case, Count, FloatField, IntegerField, Max, Q, QuerySet, Sum, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, JSONObject
from django.db.models.lookups import GreaterThan

from gates.criteria import Judged
from gates.models import Alert, Beat, Run, Slot

SEEN = ("stops", "positions")  # the checks whose values the criteria of gate 1 add up


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


def judged_slots(run: Run) -> list[Judged]:
    """Count the run's slots by check, state, verdict and whether they missed a stop, with what they saw together.

    Counted in the database: a run of 72 h has 9,144 slots, and its page is judged anew with every change. Only what
    slots of `SEEN` measured is read.
    """
    number = {
        key: Coalesce(Cast(KeyTextTransform(key, "result__measured"), IntegerField()), 0)
        for key in ("touches", "executed", "reconciliations", "reconciliation_mismatches")
    }
    worst = {
        key: Max(Cast(KeyTextTransform(key, "result__measured"), FloatField()))
        for key in ("latency_max_ms", "slippage_worst_pips")
    }
    missed = Case(When(GreaterThan(number["touches"], number["executed"]), then=True), default=False)
    slots = run.slots.order_by()
    seen = slots.filter(check_name__in=SEEN).values("check_name", "state", "verdict", missed=missed)
    together = JSONObject(
        touches=Sum(number["touches"]),
        executed=Sum(number["executed"]),
        reconciliations=Max(number["reconciliations"]),
        reconciliation_mismatches=Max(number["reconciliation_mismatches"]),
        **worst,
    )
    alike = ("check_name", "state", "verdict")
    rows = seen.annotate(count=Count("pk"), seen=together).values_list(*alike, "seen", "count")
    others = slots.exclude(check_name__in=SEEN).values(*alike).annotate(count=Count("pk")).values_list(*alike, "count")
    counted = [Judged(check, state, verdict, {}, count) for check, state, verdict, count in others]
    return counted + [Judged(*row) for row in rows]


def what_happened(run: Run) -> list[tuple[str, str]]:
    """Return the run's events as (kind, level) and its findings as (rule, level)."""
    found = run.findings.order_by().values_list("rule", "level").annotate(times=Count("pk"))
    repeated = ((rule, level) for rule, level, times in found for _ in range(times))
    return [*run.events.values_list("kind", "level"), *repeated]


def curves(run: Run, limit: int = 2000) -> dict[str, list[dict[str, Any]]]:
    """Return what each check measured over time, newest `limit` slots of each check, oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for check_name in run.slots.order_by().values_list("check_name", flat=True).distinct():
        rows = run.slots.filter(check_name=check_name, state=Slot.State.DONE).order_by("-due_at")
        newest = rows.values_list("due_at", "result__measured")[:limit]
        found[check_name] = [{"at": due_at.isoformat()} | measured for due_at, measured in reversed(newest)]
    return found
