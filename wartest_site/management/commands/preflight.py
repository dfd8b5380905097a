"""`manage.py preflight`: one line per need."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from wartest_site.environment import load
from wartest_site.preflight import needs
from wartest_site.stack import running_stack


class Command(BaseCommand):
    help = "One line per need: OK, or what to do. Exits 0 when all are met, 2 otherwise."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="web port that `up` will be given (8000)")
        parser.add_argument("--target", help="look at this target only")

    def handle(self, *args: Any, **options: Any) -> None:
        home = load().wartest_home.resolve()
        wanted = options["target"] and f"target {options['target']}"
        seen, met = False, True
        for need in needs(home, port=options["port"], services=running_stack(home)):
            if wanted and need.name.startswith("target ") and need.name != wanted:
                continue
            seen |= need.name == wanted
            met &= need.met
            self.stdout.write(f"{'OK   ' if need.met else 'NOT  '} {need.name}: {need.words}")
        if wanted and not seen:
            met = False
            self.stdout.write(f"NOT   {wanted}: the portal knows no such target, or is not running")
        sys.exit(0 if met else 2)
