"""Gates 1 to 3 from a terminal: one campaign, the same rows as in the portal, so it is live in the browser."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from gates import commands, reports
from gates.campaigns.progress import how_far
from gates.campaigns.reporting import report_of
from gates.chaos.plans import chaos_plan_for
from gates.ledger_audit.plans import audit_plan_for
from gates.models import Campaign, Report
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
BETWEEN_S = 3 * 900  # for each gate: graces, closing, report, opening the next one
BAD_START = (commands.CannotStartError, CannotStartError, PlanError, TargetUnreachableError)


class Command(BaseCommand):
    help = "Run gates 1 to 3 in order; stop at the first that does not pass."
    requires_system_checks: list[str] = []  # they ask the portal's database, which may not run yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--target", default="rehearsal", help="name of the target (default: rehearsal)")
        parser.add_argument("--profile", default="production", help="production, rehearsal or smoke")
        parser.add_argument("--because", default="", metavar="WORDS", help="why an inconclusive campaign is repeated")
        parser.add_argument("--reports-dir", default="reports", help="folder for the reports")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            limit_s = _limit_s(options["profile"])
            demand_writable(Path(options["reports_dir"]))
            with background_stack():
                verdict = self._run(options, limit_s)
        except BAD_START as error:
            self.stderr.write(str(error))
            sys.exit(CANNOT_START)
        except KeyboardInterrupt:
            self.stderr.write(
                "Stopped following; where the portal goes on, the campaign does too. Its verdict is not known."
            )
            sys.exit(EXIT_CODES["inconclusive"])
        sys.exit(EXIT_CODES[verdict])

    def _run(self, options: dict[str, Any], limit_s: float) -> str:
        """Start the campaign, follow it to its report, show the gates; the last line names the report file."""
        run = start_once_it_answers(
            target_named(options["target"]), options["profile"], whole=True, because=options["because"]
        )
        report = self._follow(run.campaign, limit_s)
        for line in report.content["criteria"]:
            self.stdout.write(f"{line['verdict']:12} {line['name']}: {line['measured']} {line['reason']}".rstrip())
        campaign = Campaign.objects.get(pk=run.campaign_id)
        signing = "" if campaign.signable else f" A {campaign.profile} cannot be signed."
        self.stdout.write(f"Campaign {campaign.pk}: {report.verdict}.{signing}")
        name_file(lambda: _write(run.campaign, report, Path(options["reports_dir"])), self.stdout.write)
        return report.verdict

    def _follow(self, campaign: Campaign, limit_s: float) -> Report:
        """Show progress until the report is there."""
        report = follow(f"campaign {campaign.pk}", lambda: _look(campaign.pk), limit_s=limit_s, stdout=self.stdout)
        if report is None:
            self.stderr.write(
                "The campaign did not end in time: are workers and beat running? See `manage.py preflight`."
            )
            sys.exit(EXIT_CODES["inconclusive"])
        return report


def _write(campaign: Campaign, report: Report, folder: Path) -> Path:
    """The reports of its gates, and its own, whose path is returned. Raises OSError."""
    for each in Report.objects.filter(campaign=campaign, run__isnull=False).order_by("pk"):
        reports.write_file(each, folder)
    return reports.write_file(report, folder)


def _limit_s(profile: str) -> float:
    """Return how long the three gates of this profile may take. Raises UnknownProfileError."""
    return plan_for(profile).duration_s + chaos_plan_for(profile).limit_s + audit_plan_for(profile).limit_s + BETWEEN_S


def _look(campaign_id: int) -> tuple[Report | None, str, float]:
    """Return the report once it is there, else in words and as a part how far the campaign is."""
    return report_of(campaign_id), *how_far(Campaign.objects.get(pk=campaign_id), timezone.now())
