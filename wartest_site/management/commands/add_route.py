"""`manage.py add_route`: one way by which alerts reach people."""

from argparse import ArgumentParser
from datetime import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from gates.alerts.delivery.routes import RouteRefusedError, Wanted, add_route, change_route
from gates.models import Route
from gates.role_names import ROLE_NAMES


class Command(BaseCommand):
    help = "Add a route of the alerts, or change the one of this name; its address is named, never given."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="what the route is called")
        parser.add_argument("address", nargs="?", help="env:NAME or file:/PATH, which holds the address")
        parser.add_argument("--levels", default="critical,high,medium", help="what it takes (critical,high,medium)")
        parser.add_argument(
            "--role", action="append", default=[], help=f"for whom: {', '.join(ROLE_NAMES)} (everybody)"
        )
        parser.add_argument("--quiet", metavar="HH:MM-HH:MM", help="hours in which only critical alerts pass")
        parser.add_argument("--time-zone", default="UTC", help="the clock of the quiet hours (UTC)")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--off", action="store_true", help="take the route out of use; what went by it stays")
        what.add_argument("--list", action="store_true", help="show every route and how it goes")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._do(options)
        except RouteRefusedError as error:
            raise CommandError(str(error), returncode=2) from None
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(
                f"The portal's database does not answer ({reason}): start `up` first.", returncode=2
            ) from None

    def _do(self, options: dict[str, Any]) -> None:
        if options["list"]:
            for each in Route.objects.all():
                self.stdout.write(_line(each))
            return
        before = Route.objects.filter(name=options["name"]).first()
        if not options["name"] or (before is None and not options["address"]):
            raise RouteRefusedError("Say which: `manage.py add_route NAME env:VARIABLE`, or --list.")
        wanted = _wanted(options, before)
        route = add_route(wanted, timezone.now()) if before is None else change_route(before.pk, wanted)
        self.stdout.write(_line(route))
        if route.active:
            self.stdout.write("Prove it: `manage.py drill_alerts`.")


def _wanted(options: dict[str, Any], before: Route | None) -> Wanted:
    if options["off"] and before is not None:
        quiet = (before.quiet_from, before.quiet_until) if before.quiet_from and before.quiet_until else None
        named = (before.name, before.address, tuple(before.levels), tuple(before.roles))
        return Wanted(*named, quiet=quiet, time_zone=before.time_zone, active=False)
    return Wanted(
        name=options["name"],
        address=options["address"] or (before.address if before else ""),
        levels=tuple(level.strip() for level in options["levels"].split(",")),
        roles=tuple(options["role"]),
        quiet=_quiet(options["quiet"]),
        time_zone=options["time_zone"],
    )


def _quiet(text: str | None) -> tuple[time, time] | None:
    """Read HH:MM-HH:MM. Raises RouteRefusedError."""
    if not text:
        return None
    try:
        begin, end = (time.fromisoformat(part.strip()) for part in text.split("-"))
    except ValueError:
        raise RouteRefusedError("Quiet hours are written HH:MM-HH:MM, as in 22:00-07:00.") from None
    return begin, end


def _line(route: Route) -> str:
    quiet = f", quiet {route.quiet_from:%H:%M}-{route.quiet_until:%H:%M} {route.time_zone}" if route.quiet_from else ""
    how = (
        "off" if not route.active else route.trouble or (f"failing: {route.last_error}" if route.failures else "in use")
    )
    whom = ", ".join(route.roles) or "everybody"
    return f"{route.name:<20} {route.address}: {', '.join(route.levels)} to {whom}{quiet}; {how}"
