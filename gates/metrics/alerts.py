"""Alerts: what is open by rule, level and state, what is overdue, and how fast they were raised."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count
from prometheus_client.metrics_core import Metric

from gates.metrics.families import gauge
from gates.models import Alert
from gates.models.slots import LEVELS


def alerts(now: datetime) -> Iterator[Metric]:
    """Alerts that are not resolved."""
    open_ones = Alert.objects.exclude(state=Alert.State.RESOLVED).order_by()
    found = open_ones.values_list("target__name", "rule", "level", "state").annotate(n=Count("pk"))
    yield gauge(
        "alerts",
        "Alerts not resolved, by rule, level and state.",
        ("target", "rule", "level", "state"),
        (((target or "", *row), n) for target, *row, n in found),
    )
    late = open_ones.filter(deadline_at__lte=now, state=Alert.State.OPEN)
    counted = dict(late.values_list("level").annotate(n=Count("pk")))
    yield gauge(
        "alerts_overdue",
        "Alerts that nobody has acknowledged and whose deadline is over.",
        ("level",),
        (((level,), counted.get(level, 0)) for level, _ in LEVELS),
    )
