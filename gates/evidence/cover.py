"""What the evidence's plain `index.html` says: a summary of each report, readable without the portal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from audits.verdicts import Verdict, merge
from gates.evidence.index import Absent, Link
from gates.evidence.keys import PublicKey
from gates.evidence.named import snapshots_named
from gates.models import Campaign, Report, SignOff
from gates.models.campaigns import GATES
from gates.signoff.standing import Signature, signatures

MOST_FINDINGS = 100
NAMES = {"72-hour-test": 1, "chaos-test": 2, "manual-audit": 3, "live-capital": 4}


def summary_of(report: Report, name: str) -> dict[str, Any]:
    """Return what the cover shows of a report: its criteria, scenarios, checks, and the first of its findings."""
    content = report.content
    gate = NAMES.get(report.kind)
    return {
        "title": f"Gate {gate}: {dict(GATES)[gate]}" if gate else "Gates 1 to 3 together",
        "name": name,
        "run": report.run_id,
        "gate": gate,
        "verdict": report.verdict,
        "sha256": report.sha256,
        "signed_by": report.signed_by,
        "measured": content.get("measured", {}),
        "environment": content.get("environment"),
        "criteria": content.get("criteria", []),
        "slots": content.get("slots", {}),
        "counted": content.get("counted", True),
        "not_counted_because": content.get("not_counted_because", ""),
        "scenarios": [_scenario(one) for one in content.get("scenarios", ())],
        "checks": content.get("checks", []),
        "findings": content.get("findings", [])[:MOST_FINDINGS],
        "more_findings": max(0, len(content.get("findings", ())) - MOST_FINDINGS),
        "interventions": content.get("interventions", []),
        "snapshots": snapshots_named(content, report.run_id),
        "kept": content.get("evidence", []),
    }


def cover_context(
    campaign: Campaign,
    summaries: Sequence[dict[str, Any]],
    absent: Sequence[Absent],
    *,
    chain: Sequence[Link],
    key: PublicKey,
    now: datetime,
) -> dict[str, Any]:
    """Return what the templates of the cover and of the README need."""
    decides = [one for one in summaries if one["run"] is None]
    return {
        "campaign": campaign,
        "verdict": verdict_of(campaign, summaries),
        "decided": bool(decides),
        "decisions": decisions(campaign),
        "summaries": [*decides, *(one for one in summaries if one["run"] is not None)],
        "absent": absent,
        "chain": chain,
        "others": [link for link in chain if link.file is None],
        "fingerprint": key.fingerprint,
        "folder": folder_name(campaign),
        "now": now,
    }


def verdict_of(campaign: Campaign, summaries: Sequence[dict[str, Any]]) -> Verdict:
    """Return the worst of the newest report on gates 1 to 3, of each gate's runs, and of what stopped the campaign.

    Of a gate that ran more than once a failure stays, else its newest run counts. Nothing decided is inconclusive.
    """
    together = [Verdict(one["verdict"]) for one in summaries if one["run"] is None]
    gates: dict[int, Verdict] = {}
    for one in summaries:
        if one["run"] is not None and gates.get(one["gate"]) != Verdict.FAILED:
            gates[one["gate"]] = Verdict(one["verdict"])
    stopped = campaign.state == Campaign.State.STOPPED
    own = [Verdict(campaign.verdict or Verdict.INCONCLUSIVE)] if stopped else []
    return merge([*(together[-1:] or [Verdict.INCONCLUSIVE]), *gates.values(), *own])


def decisions(campaign: Campaign) -> list[Signature]:
    """Return what people decided about live capital and about the next step, as it stands now."""
    return [one for stage in SignOff.Stage.values for one in signatures(campaign, stage)]


def folder_name(campaign: Campaign) -> str:
    """Return the name of the zip and of the folder in it."""
    return f"wartest-evidence-campaign-{campaign.pk}"


def _scenario(scenario: dict[str, Any]) -> dict[str, Any]:
    points = scenario.get("crash_points", ())
    passed = sum(point.get("verdict") == "passed" for point in points)
    return {
        "name": scenario["name"],
        "verdict": scenario["verdict"],
        "points": len(points),
        "passed": passed,
        "reason": scenario.get("reason", ""),
    }
