"""Whether a critical alert would reach anybody who does not look at the portal, by what its routes say."""

from dataclasses import dataclass

from gates.alerts.delivery.failing import FAILURES
from gates.alerts.delivery.outbox import MOST_ROUTES
from gates.alerts.delivery.routing import CRITICAL
from gates.models import Route

NAME = "critical alerts"
ADD = "uv run manage.py add_route NAME env:VARIABLE, where VARIABLE holds an address such as mailto://… or jsons://…"
DRILL = "uv run manage.py drill_alerts"


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether some route in use takes critical alerts and can be used; `words` name it, or say the exact next step."""

    met: bool
    words: str


def reach() -> Reach:
    """Look at the routes. Until something was delivered by one it is not proven, which the words say."""
    routes = list(Route.objects.filter(active=True, levels__contains=[CRITICAL]).order_by("pk")[:MOST_ROUTES])
    if not routes:
        some = Route.objects.filter(active=True).exists()
        lacks = "no route in use takes them" if some else "there is no route in use"
        return Reach(False, f"{lacks}, so that they reach only who looks at the pages: {ADD}")
    usable = [route for route in routes if not route.trouble and route.failures < FAILURES]
    if not usable:
        first = routes[0]
        return Reach(False, f"{first.name} would take them and does not: {first.trouble or first.last_error}")
    names = ", ".join(route.name for route in usable)
    if all(route.last_delivered_at is None for route in usable):
        return Reach(True, f"taken by {names}, by which nothing was delivered yet; prove it: {DRILL}")
    return Reach(True, f"taken by {names}")
