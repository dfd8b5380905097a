"""`manage.py preflight`: one line per need, of the portal and of one target."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.utils import timezone

from gates.alerts.delivery.reaching import NAME
from gates.models import Run, Target
from gates.targets.access import TargetUnreachableError
from gates.targets.commands import add_from_variables
from gates.targets.preflight.look import Look
from gates.targets.queries import target_named
from wartest_site.embedded.children import CannotStartError, write_private
from wartest_site.environment import load
from wartest_site.preflight import needs
from wartest_site.stack import portal_database, running_stack

MARKS = {True: "OK   ", False: "NOT  ", None: "??   "}


class Command(BaseCommand):
    help = "One line per need: OK, or what to do. Exits 2 when one is not met; ?? keeps nobody waiting."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="web port that `up` will be given (8000)")
        parser.add_argument("--target", help="look at this target, at everything it needs, and keep what was seen")
        parser.add_argument("--no-cell", action="store_true", help="start no program of the target's")
        parser.add_argument("--restart", action="store_true", help="stop and start the running target too, by its kind")
        parser.add_argument("--identity", metavar="FILE", help="write what the environment is like, for [production]")

    def handle(self, *args: Any, **options: Any) -> None:
        home = load().wartest_home.resolve()
        met = True
        for need in needs(home, port=options["port"], services=running_stack(home)):
            if options["target"] and need.name.startswith(("target ", NAME)):
                continue  # said below, of the one target
            met &= need.met is not False
            self._line(met=need.met, name=need.name, words=need.words)
        if options["target"]:
            met &= self._target(options, home)
        sys.exit(0 if met else 2)

    def _target(self, options: dict[str, Any], home: Path) -> bool:
        """Look at the target, and say where what was seen is kept."""
        wanted = options["target"]
        try:
            with portal_database() as url:
                add_from_variables(timezone.now())
                target = target_named(wanted)
                look = Look(target, home)
                self._demand_rest(target, restart=options["restart"])
                for need in look.needs(cell=not options["no_cell"], restart=options["restart"]):
                    name = need.name if need.name == need.group else f"{need.group}, {need.name}"
                    self._line(met=need.met, name=name, words=need.words)
                row = look.keep(timezone.now())
        except (CannotStartError, TargetUnreachableError) as error:
            self._line(met=False, name=f"target {wanted}", words=str(error))
            return False
        except DatabaseError as error:
            self._line(met=False, name=f"target {wanted}", words=f"the portal's database does not answer: {error}")
            return False
        for line in row.differences:
            self.stdout.write(f"      unlike production, {line['fact']}: {line['here']}, there {line['production']}")
        if options["identity"]:
            write_private(Path(options["identity"]), json.dumps(row.identity, indent=1) + "\n")
            self.stdout.write(f"The environment's facts are in {options['identity']}.")
        page = f"; see {url.rstrip('/')}{row.get_absolute_url()}" if url else ""
        self.stdout.write(f"{'Ready' if row.met else 'Not ready'}, in {row.took_s:.1f} s{page}")
        return row.met

    def _demand_rest(self, target: Target, *, restart: bool) -> None:
        if restart and Run.objects.filter(campaign__target=target, state=Run.State.RUNNING).exists():
            raise TargetUnreachableError(f"A run of {target} is going on: a restart would be a hand in it; wait.")

    def _line(self, *, met: bool | None, name: str, words: str) -> None:
        self.stdout.write(f"{MARKS[met]} {name}: {words}")
        self.stdout.flush()
