"""Gate 2 from a terminal: the same rows as in the portal, so it is live in the browser."""

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gates import reports
from gates.campaigns.progress import struck
from gates.chaos.commands import CELLS, Asked, CannotStrikeError, start_chaos
from gates.chaos.comparing import fingerprint
from gates.chaos.safety import UnsafeError
from gates.models import Report, Run
from gates.plans import UnknownProfileError
from gates.targets.access import TargetUnreachableError
from gates.targets.queries import target_named
from wartest_site.embedded.children import CannotStartError
from wartest_site.report_folders import demand_writable, name_file
from wartest_site.stack import background_stack

EXIT_CODES = {"passed": 0, "failed": 1, "inconclusive": 3}
CANNOT_START = 2
POLL_S = 0.5
CLOSING_S = 120  # after the plan's limit: closing and report
BAD_START = (CannotStrikeError, CannotStartError, UnknownProfileError, UnsafeError, TargetUnreachableError)


class Command(BaseCommand):
    help = "Run gate 2: strike the target at every message of every operation."
    requires_system_checks: list[str] = []  # they ask the portal's database, which may not run yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--target", default="rehearsal", help="name of the target (default: rehearsal)")
        parser.add_argument("--profile", default="production", help="production, rehearsal or smoke")
        parser.add_argument("--reports-dir", default="reports", help="folder for the report")
        parser.add_argument("--scenario", action="append", default=[], metavar="NAME", help="only this one; repeatable")
        parser.add_argument("--operation", default="", help="only this operation of them, as a report names it")
        parser.add_argument("--point", default="", help="only this crash point, as a report names it")
        parser.add_argument("--strike", default="", help="only this strike, as a report names it")
        parser.add_argument("--then", default="", metavar="POINT", help="only this point of the recovery, at depth 2")
        parser.add_argument("--depth", type=int, choices=(1, 2), help="2 strikes the recoveries too (the profile's)")
        parser.add_argument("--cells", type=int, default=CELLS, help=f"cells at once (default: {CELLS})")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            demand_writable(Path(options["reports_dir"]))
            with background_stack():
                verdict = self._run(options)
        except BAD_START as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        sys.exit(EXIT_CODES[verdict])

    def _run(self, options: dict[str, Any]) -> str:
        """Start the run, follow it to its report, show scenarios and criteria; the last line names the report file."""
        target = target_named(options["target"])
        chosen = {name: options[name] for name in ("operation", "point", "strike", "then", "depth", "cells")}
        asked = Asked(target, options["profile"], tuple(options["scenario"]), **chosen)
        report = self._follow(start_chaos(asked, started_by=None, now=timezone.now()))
        self._show(report.content)
        name_file(lambda: reports.write_file(report, Path(options["reports_dir"])), self.stdout.write)
        return report.verdict

    def _show(self, content: dict[str, Any]) -> None:
        for scenario in content["scenarios"]:
            points, times = scenario["crash_points"], scenario["recovery"]
            passed = sum(point["verdict"] == "passed" for point in points)
            line = f"{scenario['verdict']:12} {scenario['name']}: {passed} of {len(points)} strikes passed"
            if times["p50_ms"] is not None:
                line += f", recovery p50 {times['p50_ms']:.0f} p99 {times['p99_ms']:.0f} max {times['max_ms']:.0f} ms"
            self.stdout.write(f"{line}. {scenario['reason'] if scenario['verdict'] != 'passed' else ''}".rstrip())
            for point in [point for point in points if point["verdict"] != "passed"][:3]:
                self.stdout.writelines(f"{line}\n" for line in said_of(point))
        for criterion in content["criteria"]:
            line = f"{criterion['verdict']:12} {criterion['name']}: {criterion['measured']}"
            self.stdout.write(f"{line} (required: {criterion['required']}) {criterion['reason']}".rstrip())
        how = content["chaos"]
        sampled = f"sampled: {how['sampled']} strikes of each kind" if how["sampled"] else "every crash point"
        self.stdout.write(f"Run {content['run']}: {content['verdict']} ({how['mode']} mode, {sampled})")
        told = f"{fingerprint(content)}; --depth 1: {fingerprint(content, 1)}"
        self.stdout.write(f"Strikes and verdicts, as compare_chaos --fingerprint takes them: {told}")

    def _follow(self, run: Run) -> Report:
        """Show progress until the report is there, within the plan's time and a limit for closing."""
        console = Console()
        ends = time.monotonic() + (run.planned_end - timezone.now()).total_seconds() + CLOSING_S
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
        with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task(f"run {run.pk}", total=1.0, words="")
            said = ""
            while time.monotonic() < ends:
                report = Report.objects.filter(run=run).first()
                if report is not None:
                    return report
                words, part = struck(run, timezone.now())
                progress.update(bar, completed=part, words=words)
                if not console.is_terminal and words != said:
                    self.stdout.write(words)
                    said = words
                time.sleep(POLL_S)
        self.stderr.write("The run did not close in time: are workers and beat running? See `manage.py preflight`.")
        sys.exit(EXIT_CODES["inconclusive"])


def said_of(point: dict[str, Any]) -> list[str]:
    """Say of a strike that did not pass: where it was, what it was found by, and how to make it again."""
    rules = ", ".join(dict.fromkeys(found["rule"] for found in point["findings"]))
    lines = [f"    {point['verdict']}: {point['fault']} at {point['label']}: {rules or point['reason']}"]
    lines += [f"        {found['sentence']}" for found in point["findings"][:1]]
    return [*lines, f"        again: {point['repeat']}"]
