"""A campaign whose three gates left everything that evidence consists of, and its evidence as a zip."""

import io
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from audits.verdicts import Verdict
from gates import commands, reports
from gates.checks.outcome import Outcome
from gates.evidence.keeping import run_folder
from gates.evidence.rotating import rotate_key
from gates.evidence.tree import campaign_tree
from gates.evidence.zipping import zipped
from gates.models import Campaign, Run
from tests.audits.books import clean_books
from tests.gates.cast import START, a_run
from tests.gates.chaos.pages.staged import staged_run
from tests.gates.ledger_audit.auditable import auditable, started, work
from tests.gates.test_engine import LATER, PASSED, fill
from tests.gates.test_reports import closed_run

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@dataclass(frozen=True)
class Evident:
    """The zip, the state folder and the reports folder of the portal that made it, and its key's fingerprint."""

    zip: Path
    home: Path
    reports: Path
    fingerprint: str
    first_fingerprint: str
    campaign: int
    runs: tuple[int, ...]  # of gates 1, 2 and 3

    def unpacked(self, folder: Path) -> Path:
        with zipfile.ZipFile(self.zip) as packed:
            packed.extractall(folder)
        return folder / f"wartest-evidence-campaign-{self.campaign}"


def evident_campaign(server) -> Campaign:
    """Write reports of an earlier campaign, change the key, then run a campaign to its report on gates 1 to 3.

    Gate 2 is staged: its strikes passed and failed, and its verdict is said to be a pass.
    """
    reports.write_campaign(closed_run(Outcome(Verdict.FAILED)).campaign_id, LATER)
    rotate_key("The laptop that held a copy was sold.", lost=False, now=LATER)
    with auditable(clean_books(), server) as desk:
        gate_1 = a_run(spec=desk.target.spec)
        fill(gate_1, PASSED)
        commands.close_run(gate_1.pk, LATER)
        gate_2 = staged_run(profile="smoke", start=START + timedelta(hours=2), campaign=gate_1.campaign)
        gate_2.slots.update(state="done", verdict="inconclusive")
        line = {"name": "scenarios", "required": "12", "measured": "12", "verdict": "passed", "reason": ""}
        Run.objects.filter(pk=gate_2.pk).update(
            state="closed", verdict="passed", criteria=[line], closed_at=START + timedelta(hours=3)
        )
        gate_3 = started(desk)
        attachments = run_folder(gate_3.pk) / "attachments"
        attachments.mkdir(parents=True)
        (attachments / "screen of the desk.png").write_bytes(PICTURE)
        work(gate_3)
    reports.write_campaign(gate_1.campaign_id, timezone.now())
    return Campaign.objects.select_related("target").get(pk=gate_1.campaign_id)


def packed(campaign: Campaign) -> bytes:
    now = timezone.now()
    content = io.BytesIO()
    for part in zipped(campaign_tree(campaign, now).streamed(), f"wartest-evidence-campaign-{campaign.pk}", now):
        content.write(part)
    return content.getvalue()
