"""Alerts: what is open, overdue and waits to be told; how fast they were raised and delivered; how the routes go."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, Min
from prometheus_client.metrics_core import Metric

from gates.alerts.pages.times import Spread, times
from gates.metrics.families import Values, gauge
from gates.models import Alert, Delivery, Route, RuleWatch, Run
from gates.models.slots import LEVELS

LATELY = timedelta(hours=1)
MOST_ALERTS = 2000
MOST_ROUTES = 200
MOST_WATCHED = 20_000


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


def rules(now: datetime) -> Iterator[Metric]:
    """What each of the thirteen says of the runs that go on."""
    watches = RuleWatch.objects.filter(run__state=Run.State.RUNNING).order_by()
    found = watches.values_list("run__campaign__target__name", "rule", "state", "looked_at")[:MOST_WATCHED]
    rows = list(found)
    yield gauge(
        "rule_firing",
        "1 while a rule fires on a running run, 0 while it is clean; absent while it cannot be judged.",
        ("target", "rule"),
        (
            ((target, rule), float(state == RuleWatch.State.FIRING))
            for target, rule, state, _ in rows
            if state != RuleWatch.State.NOT_JUDGED
        ),
    )
    looked: dict[str, datetime] = {}
    for target, _, _, at in rows:
        looked[target] = max(at, looked.get(target, at))
    yield gauge(
        "watch_age_seconds",
        "Age of the last look at a target by which the rules are judged.",
        ("target",),
        (((target,), (now - at).total_seconds()) for target, at in looked.items()),
    )


def speed(now: datetime) -> Iterator[Metric]:
    """How fast the alerts of the last hour were raised, and delivered by the first route that took them."""
    *_, together = times(now - LATELY, MOST_ALERTS)
    for name, sentence, spread in (
        ("alert_raised_seconds", "From the event to the alert, of the last hour's alerts.", together.raised),
        (
            "alert_delivered_seconds",
            "From the event to its first delivery, of the last hour's alerts.",
            together.delivered,
        ),
    ):
        yield gauge(name, sentence, ("quantile",), _quantiles(spread))


def _quantiles(spread: Spread) -> Values:
    told = (("0.5", spread.p50_s), ("0.99", spread.p99_s), ("1", spread.max_s))
    return [((quantile,), value) for quantile, value in told if value is not None]


def outbox(now: datetime) -> Iterator[Metric]:
    """What waits to be told, and how each route goes."""
    routes = list(Route.objects.order_by("pk").values_list("pk", "name", "active", "failures", "trouble")[:MOST_ROUTES])
    due = Delivery.objects.filter(state=Delivery.State.WAITING, next_at__lte=now, route__in=[row[0] for row in routes])
    waiting = {
        pk: (n, oldest)
        for pk, n, oldest in due.order_by().values_list("route").annotate(n=Count("pk"), oldest=Min("next_at"))
    }
    yield gauge(
        "outbox_messages",
        "Messages that should be told by now and are not.",
        ("route",),
        (((name,), waiting.get(pk, (0, None))[0]) for pk, name, *_ in routes),
    )
    yield gauge(
        "outbox_age_seconds",
        "How long the oldest message of a route has been due.",
        ("route",),
        (((name,), (now - waiting[pk][1]).total_seconds() if pk in waiting else 0.0) for pk, name, *_ in routes),
    )
    yield gauge(
        "route_failures",
        "Tries of a route that failed since the last that was well.",
        ("route",),
        (((name,), failures) for _, name, _, failures, _ in routes),
    )
    yield gauge(
        "route_usable",
        "1 where the address of a route in use can be used.",
        ("route",),
        (((name,), float(not trouble)) for _, name, active, _, trouble in routes if active),
    )
