"""What people do about routes. None is ever removed: what went by it stays on record; switch it off instead.

The delivering process gives up what then still waits for it (`switched_off.py`).
"""

import re
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.db import IntegrityError, transaction

from gates.alerts.delivery.outbox import MOST_ROUTES, wake
from gates.alerts.delivery.routing import RANKS
from gates.models import Route
from gates.models.delivery import NAMED
from gates.role_names import ROLE_NAMES

LONGEST_NAME = 60
LONGEST_ADDRESS = 300


class RouteRefusedError(ValueError):
    """The route cannot be so; the message says what to correct."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a route shall be. `quiet` is (from, until) by the clock of `time_zone`, or None; no roles: everybody."""

    name: str
    address: str
    levels: tuple[str, ...]
    roles: tuple[str, ...] = ()
    quiet: tuple[time, time] | None = None
    time_zone: str = "UTC"
    active: bool = True


@transaction.atomic
def add_route(wanted: Wanted, now: datetime) -> Route:
    """Add a route. Raises RouteRefusedError."""
    if Route.objects.filter(active=True).count() >= MOST_ROUTES:
        raise RouteRefusedError(f"There are {MOST_ROUTES} routes in use, which is the most: switch one off first.")
    return _saved(Route(created_at=now), wanted)


@transaction.atomic
def change_route(route_id: int, wanted: Wanted) -> Route:
    """Make a route as wanted; what it was stays in its history. Raises RouteRefusedError."""
    return _saved(Route.objects.select_for_update().get(pk=route_id), wanted)


def _saved(route: Route, wanted: Wanted) -> Route:
    """The delivering process looks at the address at once: it alone knows whether it can be used."""
    for mistake in mistakes(wanted):
        raise RouteRefusedError(mistake)
    route.name, route.address, route.time_zone = wanted.name.strip(), wanted.address.strip(), wanted.time_zone
    route.levels = [level for level in RANKS if level in wanted.levels]
    route.roles = [role for role in ROLE_NAMES if role in wanted.roles]
    route.quiet_from, route.quiet_until = wanted.quiet or (None, None)
    route.active, route.looked_at = wanted.active, None
    try:
        with transaction.atomic():
            route.save()
    except IntegrityError:
        raise RouteRefusedError(f"There is a route named {route.name} already: choose another name.") from None
    wake()
    return route


def mistakes(wanted: Wanted) -> list[str]:
    """Return what is wrong with a wanted route, a sentence for each thing; an address itself is not repeated."""
    found = []
    if not 0 < len(wanted.name.strip()) <= LONGEST_NAME:
        found.append(f"A route needs a name of 1 to {LONGEST_NAME} letters.")
    if not re.match(NAMED, wanted.address.strip()) or len(wanted.address) > LONGEST_ADDRESS:
        found.append(
            "The address must be named and not given: env:NAME for a variable that holds it, file:/PATH for a file."
        )
    if not wanted.levels or not set(wanted.levels) <= set(RANKS):
        found.append(f"A route takes one level or more of: {', '.join(RANKS)}.")
    if not set(wanted.roles) <= set(ROLE_NAMES):
        found.append(f"Roles are: {', '.join(ROLE_NAMES)}; leave them out for everybody.")
    if wanted.quiet and wanted.quiet[0] == wanted.quiet[1]:
        found.append("Quiet hours that begin when they end are none: leave them out, or change one of the times.")
    if wanted.time_zone not in time_zones():
        found.append(f"There is no time zone {wanted.time_zone[:50]!r}: write one such as Europe/Berlin.")
    return found


@cache
def time_zones() -> frozenset[str]:
    """The names of all time zones that this machine knows."""
    return frozenset(available_timezones() | {"UTC"})


def clock(route: Route, now: datetime) -> datetime:
    """What the clock of a route shows."""
    return now.astimezone(ZoneInfo(route.time_zone))
