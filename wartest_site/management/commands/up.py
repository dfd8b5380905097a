"""`manage.py up`: the whole portal with a rehearsal target, on this machine."""

import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand

from wartest_site.embedded.children import CannotStartError
from wartest_site.environment import load
from wartest_site.launch import Launch, bring_up


class Command(BaseCommand):
    help = "Start everything, embedded; on first start with a rehearsal campaign."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="web port on 127.0.0.1 (8000)")
        parser.add_argument("--no-campaign", action="store_true", help="start no rehearsal campaign")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()

        def say(line: str) -> None:
            with suppress(OSError):  # a terminal that was closed must not keep us from stopping our children
                self.stdout.write(f"{time.monotonic() - started:5.1f} s  {line}")
                self.stdout.flush()

        home = load().wartest_home.resolve()
        try:
            bring_up(Launch(home, options["port"], campaign=not options["no_campaign"]), say)
        except CannotStartError as error:
            self.stderr.write(f"{error}.")
            sys.exit(2)
