"""Gate 1 from a terminal: the same rows as in the portal, so it is live in the browser."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from gates import commands, queries, reports
from gates.models import Report, Run
from gates.plans import PlanError, plan_for
from gates.targets.access import TargetUnreachableError
from gates.targets.queries import target_named
from wartest_site.embedded.children import CannotStartError
from wartest_site.following import follow
from wartest_site.report_folders import demand_writable, name_file
from wartest_site.stack import background_stack
from wartest_site.starting import start_once_it_answers

EXIT_CODES = {"passed": 0, "failed": 1, "inconclusive": 3}
CANNOT_START = 2
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
            demand_writable(Path(options["reports_dir"]))
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
        for criterion in report.content["criteria"]:
            line = f"{criterion['verdict']:12} {criterion['name']}: {criterion['measured']}"
            self.stdout.write(f"{line} (required: {criterion['required']}) {criterion['reason']}".rstrip())
        self.stdout.write(f"Run {run.pk}: {report.verdict}")
        name_file(lambda: reports.write_file(report, Path(options["reports_dir"])), self.stdout.write)
        return report.verdict

    def _follow(self, run: Run) -> Report:
        """Show progress until the report is there, within the plan's time and a limit for closing."""
        limit_s = (run.planned_end - timezone.now()).total_seconds() + CLOSING_S
        report = follow(f"run {run.pk}", lambda: _look(run), limit_s=limit_s, stdout=self.stdout)
        if report is None:
            self.stderr.write("The run did not close in time: are workers and beat running? See `manage.py preflight`.")
            sys.exit(EXIT_CODES["inconclusive"])
        return report


def _look(run: Run) -> tuple[Report | None, str, float]:
    """Return the report once it is there, else in words and as a part how far the run is."""
    report = Report.objects.filter(run=run).first()
    counts = queries.slot_counts(run)
    done = counts["passed"] + counts["failed"] + counts["inconclusive"]
    words = f"{done} of {counts['planned']} slots, {counts['failed']} failed, {counts['holes']} holes"
    return report, words, run.progress(timezone.now())
