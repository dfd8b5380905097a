"""`manage.py watch`: who watches the watcher. Runs outside Celery and Valkey and reads PostgreSQL only."""

import sys
import time
import urllib.request
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from gates.queries import last_tick_age_s

PING_LIMIT_S = 5


class Command(BaseCommand):
    help = "Watch the portal's last tick; end with exit code 1 as soon as it is too old."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit-s", type=float, default=60.0, help="oldest tick that is well (60)")
        parser.add_argument("--every-s", type=float, default=5.0, help="seconds between two looks (5)")
        parser.add_argument("--once", action="store_true", help="look once: exit 0 when well, 1 when not")
        parser.add_argument("--ping", metavar="URL", help="outer dead-man's switch, asked at each good look")

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["ping"]
        if url and not url.startswith(("http://", "https://")):
            raise CommandError("--ping must be an http:// or https:// address.", returncode=2)
        if options["limit_s"] <= 0 or options["every_s"] <= 0:
            raise CommandError("--limit-s and --every-s must be above 0.", returncode=2)
        while True:
            trouble = tick_trouble(datetime.now(UTC), options["limit_s"])
            if trouble:
                self.stderr.write(trouble)
                sys.exit(1)
            if url:
                self._ping(url)
            if options["once"]:
                return
            connection.close()  # a watch of days holds none
            time.sleep(options["every_s"])

    def _ping(self, url: str) -> None:
        """A switch that does not answer alarms by itself; it is no reason to stop watching."""
        try:
            urllib.request.urlopen(url, timeout=PING_LIMIT_S).close()  # noqa: S310 - its scheme is checked
        except OSError as error:
            self.stderr.write(f"The dead-man's switch did not answer: {error}")


def tick_trouble(now: datetime, limit_s: float) -> str | None:
    """What is wrong with the last tick at `now`, in a sentence, or None."""
    try:
        age_s = last_tick_age_s(now)
    except DatabaseError as error:
        return f"The portal's database does not answer: {str(error).strip().splitlines()[0]}"
    if age_s is None:
        return "There was never a tick: start the portal with `uv run manage.py up`."
    if age_s > limit_s:
        return f"The last tick is {age_s:.0f} s old, at most {limit_s:g} s are well: see worker.log and beat.log."
    return None
