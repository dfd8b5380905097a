"""`manage.py watch`: who watches the watcher. Runs outside Celery and Valkey, and alarms by a route of its own."""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from pydantic import SecretStr

from gates import pulses
from wartest_site.watching import Alarms, look, ping


class Command(BaseCommand):
    help = "Watch the portal's parts: name each that has stopped, and alarm by WATCH_ROUTE."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit-s", type=float, help="oldest pulse that is well (10, or four ticks)")
        parser.add_argument("--every-s", type=float, default=2.0, help="seconds between two looks (2)")
        parser.add_argument("--once", action="store_true", help="look once: exit 0 when well, 1 when not")
        parser.add_argument("--web", metavar="URL", default="", help="where the portal's pages are; asked at each look")
        parser.add_argument(
            "--ping", metavar="URL", help="outer dead-man's switch, asked at each good look (WATCH_PING)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        limit_s = pulses.limit_s() if options["limit_s"] is None else options["limit_s"]
        if limit_s <= 0 or options["every_s"] <= 0:
            raise CommandError("--limit-s and --every-s must be above 0.", returncode=2)
        switch = options["ping"] or _secret(settings.ENVIRONMENT.watch_ping)
        if switch and not switch.startswith(("http://", "https://")):
            raise CommandError("--ping must be an http:// or https:// address.", returncode=2)
        web: str = options["web"]
        if web and not web.startswith(("http://", "https://")):
            raise CommandError("--web must be an http:// or https:// address.", returncode=2)
        if options["once"]:
            sys.exit(self._once(limit_s, switch, web))
        alarms = Alarms(_secret(settings.ENVIRONMENT.watch_route), self.stderr.write)
        while True:
            stopped = look(limit_s, web)
            alarms.hear(stopped, time.monotonic())
            if not stopped and switch:
                self._say(ping(switch))
            connection.close()  # a watch of days holds none
            time.sleep(options["every_s"])

    def _once(self, limit_s: float, switch: str, web: str) -> int:
        stopped = look(limit_s, web)
        for each in stopped:
            self.stderr.write(each.sentence)
        if not stopped and switch:
            self._say(ping(switch))
        return 1 if stopped else 0

    def _say(self, trouble: str) -> None:
        if trouble:
            self.stderr.write(trouble)


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
