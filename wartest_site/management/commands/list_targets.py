"""`manage.py list_targets`: a line for each."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from gates.models import Target
from gates.targets.commands import add_from_variables
from gates.targets.from_variables import missing
from gates.targets.queries import listed_targets
from gates.targets.showing import broker_words, ledger_words, process_words
from wartest_site.embedded.children import CannotStartError
from wartest_site.stack import portal_database


class Command(BaseCommand):
    help = "A line for each target: its books, its broker, its process, its campaigns, its last preflight."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with portal_database():
                add_from_variables(timezone.now())
                rows = list(listed_targets())
        except CannotStartError as error:
            raise CommandError(str(error), returncode=2) from None
        if options["json"]:
            self.stdout.write(json.dumps([{"name": row.name, "spec": row.spec} for row in rows], indent=1))
            return
        for row in rows:
            self.stdout.write(_line(row))
        if unset := missing():
            self.stderr.write(f"Set {', '.join(unset)} too, and the four variables are a target by themselves.")


def _line(row: Target) -> str:
    state = "removed" if row.removed_at else {True: "ready", False: "not ready"}.get(row.ready, "no preflight yet")  # type: ignore[attr-defined]
    words = (ledger_words(row.spec), broker_words(row.spec), process_words(row.spec))
    return f"{row.name:<20} {state}; {'; '.join(words)}; campaigns: {row.n_campaigns}"  # type: ignore[attr-defined]
