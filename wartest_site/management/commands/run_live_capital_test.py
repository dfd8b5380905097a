"""Gate 4 from a terminal: the same rows as in the portal, so it is live in the browser."""

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from gates import reports
from gates.live_capital.commands import REFUSALS
from gates.live_capital.days import Day, in_a_row
from gates.live_capital.plans import live_plan_for
from gates.live_capital.standing import days_of
from gates.live_capital.turns import start_live
from gates.models import Report, Run
from gates.plans import UnknownProfileError
from gates.targets.queries import target_named
from wartest_site.embedded.children import CannotStartError
from wartest_site.following import follow
from wartest_site.report_folders import demand_writable, name_file
from wartest_site.stack import background_stack

EXIT_CODES = {"passed": 0, "failed": 1, "inconclusive": 3}
CANNOT_START = 2
POLL_S = 0.5
ANSWER_S = 20
CLOSING_S = 14 * 3600  # after the last due time: graces, closing, report
MARKS = {"passed": "●", "failed": "■", "inconclusive": "◇", "running": "◐", "waiting": "○"}


class Command(BaseCommand):
    help = "Run gate 4: thirty days with $100 to $500 of real money, watched and never traded by the portal."
    requires_system_checks: list[str] = []  # they ask a database, and it may not run yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--target", default="rehearsal", help="name of the target (default: rehearsal)")
        parser.add_argument("--profile", default="production", help="production, rehearsal (ten minutes) or smoke")
        parser.add_argument("--reports-dir", default="reports", help="folder for the report")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            live_plan_for(options["profile"])
            demand_writable(Path(options["reports_dir"]))
            with background_stack():
                verdict = self._run(options)
        except (*REFUSALS, CannotStartError, UnknownProfileError) as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        except KeyboardInterrupt:
            self.stderr.write(
                "Stopped following; where the portal goes on, the month does too. Its verdict is not known."
            )
            sys.exit(EXIT_CODES["inconclusive"])
        sys.exit(EXIT_CODES[verdict])

    def _run(self, options: dict[str, Any]) -> str:
        """Open gate 4, follow it to its report, show days and criteria; the last line names the report file."""
        run = self._started(options["target"], options["profile"])
        self.stdout.write(f"Gate 4 is open: run {run.pk}, {run.live.plan}, {run.live.environment}.")
        if not run.live.counted:
            self.stdout.write(f"It does not count as gate 4: {run.live.not_counted_because}")
        report = self._follow(run)
        self._show(report)
        name_file(lambda: reports.write_file(report, Path(options["reports_dir"])), self.stdout.write)
        return report.verdict

    def _started(self, name: str, profile: str) -> Run:
        """Open gate 4; a rehearsal that has just been started gets a little time to answer."""
        target = target_named(name)
        ends = time.monotonic() + (0 if profile == "production" else ANSWER_S)
        while True:
            try:
                return start_live(target, profile, started_by=None, now=timezone.now())
            except REFUSALS:
                if time.monotonic() > ends:
                    raise
                time.sleep(POLL_S)

    def _follow(self, run: Run) -> Report:
        """Show the days until the report is there, within the plan's time and a limit for closing."""
        limit_s = (run.planned_end - timezone.now()).total_seconds() + CLOSING_S
        report = follow(f"month of run {run.pk}", lambda: _look(run), limit_s=limit_s, stdout=self.stdout)
        if report is None:
            self.stderr.write(
                "The month did not close in time: are workers and beat running? See `manage.py preflight`."
            )
            sys.exit(EXIT_CODES["inconclusive"])
        return report

    def _show(self, report: Report) -> None:
        content = report.content
        for criterion in content["criteria"]:
            line = f"{criterion['verdict']:12} {criterion['name']}: {criterion['measured']}"
            self.stdout.write(f"{line} (required: {criterion['required']}) {criterion['reason']}".rstrip())
        figures = content["capital"]["performance"]
        if figures:
            money = ", ".join(f"{name} {figures[name]}" for name in ("net", "unrealised", "costs", "drawdown"))
            self.stdout.write(f"In USD: {money}; {figures['trades']} trades, win rate {figures['win_rate']}.")
        self.stdout.write(f"Run {content['run']}: {report.verdict}")


def _look(run: Run) -> tuple[Report | None, str, float]:
    """Return the report once it is there, else in words and as a part how far the month is."""
    now = timezone.now()
    return Report.objects.filter(run=run).first(), _words(days_of(run, now)), run.progress(now)


def _words(days: tuple[Day, ...]) -> str:
    """Write the month as one mark for each day, with how many days in a row have passed."""
    marks = "".join(MARKS[day.status] for day in days)
    return f"{marks} {in_a_row(days)} of {len(days)} days in a row"
