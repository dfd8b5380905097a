"""`manage.py drill_alerts`: test every route of the alerts, in its quiet hours and out of them."""

import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from audits.verdicts import Verdict
from gates.alerts.delivery.drills import DrillRefusedError, judged, start
from gates.models import Drill

EXITS = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.INCONCLUSIVE: 3}


class Command(BaseCommand):
    help = "Start a drill of every route; with --show say how the last one went (0 passed, 1 failed, 3 not over)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--show", action="store_true", help="how the last drill stands; start none")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["show"]:
                sys.exit(self._show())
            drill = start(None, timezone.now())
        except DrillRefusedError as error:
            raise CommandError(str(error), returncode=2) from None
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(
                f"The portal's database does not answer ({reason}): start `up` first.", returncode=2
            ) from None
        self.stdout.write(
            f"A drill of {drill.routes} routes has begun. Whoever receives a message gives its code in the portal "
            "within 15 minutes; messages for quiet hours wait for them. How it goes: `manage.py drill_alerts --show`."
        )

    def _show(self) -> int:
        drill = Drill.objects.first()
        if drill is None:
            raise DrillRefusedError("There was never a drill: start one with `manage.py drill_alerts`.")
        found = judged(drill, timezone.now())
        for each in found.messages:
            when = "in quiet hours" if each.quiet else "out of quiet hours"
            who = f" by {each.answered_by}{_after(each.answered_after)}" if each.answered_by else ""
            self.stdout.write(f"{each.route:<20} {when}: {each.words}{who}")
        self.stdout.write(f"{drill}: {found.verdict or 'not over yet'}")
        return EXITS[found.verdict] if found.verdict else EXITS[Verdict.INCONCLUSIVE]


def _after(took: timedelta | None) -> str:
    return f" after {took.total_seconds():.0f} s" if took is not None else ""
