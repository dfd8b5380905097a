"""Gate 1 from a terminal: the same rows as in the portal, so it is live in the browser."""

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gates import commands, queries, reports
from gates.models import Report, Run
from gates.plans import PlanError, plan_for
from gates.targets.access import TargetUnreachableError
from wartest_site.embedded.children import CannotStartError
from wartest_site.stack import background_stack
from wartest_site.starting import start_once_it_answers, target_named

EXIT_CODES = {"passed": 0, "failed": 1, "inconclusive": 3}
CANNOT_START = 2
POLL_S = 0.5
CLOSING_S = 900  # after the last due time: graces, closing, report


class Command(BaseCommand):
    help = "Run gate 1, the 72-hour run, on a target."
    requires_system_checks: list[str] = []  # they ask the portal's database, which may not run yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--target", default="rehearsal", help="name of the target (default: rehearsal)")
        parser.add_argument("--profile", default="production", help="production, rehearsal or smoke")
        parser.add_argument("--because", default="", metavar="WORDS", help="why an inconclusive campaign is repeated")
        parser.add_argument("--reports-dir", default="reports", help="folder for the report")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plan_for(options["profile"])
            with background_stack():
                verdict = self._run(options)
        except (commands.CannotStartError, CannotStartError, PlanError, TargetUnreachableError) as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        except KeyboardInterrupt:
            self.stderr.write(
                "Stopped following; where the portal goes on, the run does too. Its verdict is not known."
            )
            sys.exit(EXIT_CODES["inconclusive"])
        sys.exit(EXIT_CODES[verdict])

    def _run(self, options: dict[str, Any]) -> str:
        """Start the run, follow it to its report, show the criteria; the last line names the report file."""
        run = start_once_it_answers(target_named(options["target"]), options["profile"], because=options["because"])
        report = self._follow(run)
        path = reports.write_file(report, Path(options["reports_dir"]))
        for criterion in report.content["criteria"]:
            line = f"{criterion['verdict']:12} {criterion['name']}: {criterion['measured']}"
            self.stdout.write(f"{line} (required: {criterion['required']}) {criterion['reason']}".rstrip())
        self.stdout.write(f"Run {run.pk}: {report.verdict}")
        self.stdout.write(str(path))
        return report.verdict

    def _follow(self, run: Run) -> Report:
        """Show progress until the report is there, within the plan's time and a limit for closing.

        A portal whose database is away for a while goes on when it is back, and so do we.
        """
        console = Console()
        ends = time.monotonic() + (run.planned_end - timezone.now()).total_seconds() + CLOSING_S
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[said]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task(f"run {run.pk}", total=1.0, said="")
            said = ""
            while time.monotonic() < ends:
                report, words = self._look(run)
                if report is not None:
                    return report
                progress.update(bar, completed=run.progress(timezone.now()), said=words)
                if not console.is_terminal and words != said:
                    self.stdout.write(words)
                    self.stdout.flush()
                    said = words
                time.sleep(POLL_S)
        self.stderr.write("The run did not close in time: are workers and beat running? See `manage.py preflight`.")
        sys.exit(EXIT_CODES["inconclusive"])

    def _look(self, run: Run) -> tuple[Report | None, str]:
        """Return the report once it is there, else in words how far the run is."""
        try:
            report = Report.objects.filter(run=run).first()
            counts = queries.slot_counts(run)
        except (OperationalError, InterfaceError):
            connection.close()
            return None, "the portal's database does not answer; the run goes on when it does"
        done = counts["passed"] + counts["failed"] + counts["inconclusive"]
        return report, f"{done} of {counts['planned']} slots, {counts['failed']} failed, {counts['holes']} holes"
