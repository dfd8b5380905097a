"""Routes that fail: said where people see it, and raised as an alert that goes by another route."""

from datetime import datetime

from django.db.models import Q

from gates.alerts import raising
from gates.alerts.delivery.addresses import RouteUnusableError, address_of
from gates.models import Alert, Route

FAILURES = 3  # in a row: one lost connection is none
RULE = "alert route fails"
LEVEL = "high"
MOST_ROUTES = 100


def look_again() -> None:
    """Have every address looked at once more: this process has just begun, perhaps with other settings."""
    Route.objects.filter(active=True).update(looked_at=None)


def look(now: datetime) -> None:
    """Look at the addresses that nobody has looked at; raise an alert for each route that fails, resolve it when well.

    An alert is of one rule and one route, so that two routes are two alerts.
    """
    for route in Route.objects.filter(active=True, looked_at=None).order_by("pk")[:MOST_ROUTES]:
        Route.objects.filter(pk=route.pk).update(looked_at=now, trouble=trouble_of(route.address))
    failing = Q(failures__gte=FAILURES) | ~Q(trouble="")
    standing = dict(_standing())
    for route in Route.objects.filter(failing, active=True).order_by("pk")[:MOST_ROUTES]:
        if rule_of(route) not in standing:
            raising.raise_event(_event(route, now), target=None, run=None, now=now)
    well = {rule_of(route) for route in Route.objects.exclude(failing & Q(active=True)).order_by("pk")[:MOST_ROUTES]}
    for rule in well & set(standing):
        words = "The route takes messages again, or is switched off."
        raising.resolve(standing[rule], rechecked_at=now, words=words, now=now)


def trouble_of(named: str) -> str:
    """Say why an address cannot be used; empty where it can."""
    from gates.alerts.delivery.sending import service_of  # noqa: PLC0415 - loads apprise, which pages have no use for

    try:
        service_of(named, address_of(named))
    except RouteUnusableError as error:
        return str(error)
    return ""


def rule_of(route: Route) -> str:
    return f"{RULE}: {route.name}"


def _standing() -> list[tuple[str, int]]:
    rows = Alert.objects.filter(target=None, run=None, rule__startswith=RULE).exclude(state=Alert.State.RESOLVED)
    return list(rows.values_list("rule", "pk")[: 2 * MOST_ROUTES])


def _event(route: Route, now: datetime) -> raising.Event:
    why = route.trouble or f"{route.failures} tries in a row failed, the last: {route.last_error}"
    return raising.Event(
        rule_of(route),
        LEVEL,
        f"The route {route.name} brings no alert to anybody: {why}",
        route.last_failed_at or now,
        cause={"route": route.pk},
        threshold=f"{FAILURES} failed tries in a row",
    )
