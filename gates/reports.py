"""Reports: what a run proved, in the shape of `report.schema.json`, sealed by its own hash."""

import hashlib
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import rfc8785
from django.conf import settings
from django.db import transaction

from audits.findings import Finding, Level, grouped
from gates import queries
from gates.ledger_audit.standing import audit_report_fields
from gates.models import Report, Run

SCHEMA = "wartest.report/1"
KINDS = {1: "72-hour-test", 2: "chaos-test", 3: "manual-audit", 4: "live-capital"}
FINDINGS_LIMIT = 10_000


def missing() -> list[int]:
    """Return ids of closed runs without a report, oldest first, a few at a time."""
    closed = Run.objects.filter(state=Run.State.CLOSED, report=None).order_by("closed_at")
    return list(closed.values_list("pk", flat=True)[:10])


def write(run_id: int, now: datetime) -> Report:
    """Write the report of a closed run, once: the row first, then the file, which is made whole or not at all."""
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).select_related("campaign__target").get(pk=run_id)
        report = Report.objects.filter(run=run).first() or _new_report(run, now)
    write_file(report, Path(settings.ENVIRONMENT.reports_dir))
    return report


def _new_report(run: Run, now: datetime) -> Report:
    kind = KINDS[run.gate]
    previous = Report.objects.order_by("-pk").values_list("sha256", flat=True).first()
    body = content(run) | {"kind": kind}
    if run.gate == 3:
        body |= audit_report_fields(run)
    sha256 = seal(body)
    body["seal"] = {"sha256": sha256, "previous": previous, "signed_by": None, "signature": None}
    stamp = (run.closed_at or now).strftime("%Y%m%dT%H%M%SZ")
    return Report.objects.create(
        run=run,
        kind=kind,
        verdict=run.verdict or "inconclusive",
        content=body,
        sha256=sha256,
        file_name=f"{kind}-{stamp}.json",
        created_at=now,
    )


def seal(body: dict[str, Any]) -> str:
    """Return the SHA-256 over the canonical JSON (RFC 8785) of everything but the seal itself."""
    return hashlib.sha256(rfc8785.dumps({key: body[key] for key in body if key != "seal"})).hexdigest()


def content(run: Run) -> dict[str, Any]:
    """Return the report's fields, without kind and seal."""
    campaign = run.campaign
    counts = queries.slot_counts(run)
    duration_s = (run.closed_at - run.planned_start).total_seconds() if run.closed_at else None
    return {
        "schema": SCHEMA,
        "verdict": run.verdict,
        "profile": campaign.profile,
        "target": {"name": campaign.target.name, "build": campaign.build, "environment": _environment(run)},
        "campaign": campaign.pk,
        "run": run.pk,
        "planned": {"start": _utc(run.planned_start), "end": _utc(run.planned_end)},
        "measured": {"start": _utc(run.planned_start), "end": _utc(run.closed_at), "duration_s": duration_s},
        "criteria": run.criteria,
        "findings": _findings(run),
        "slots": {key: counts[key] for key in ("planned", "passed", "failed", "inconclusive")},
        "alerts": [
            {
                "rule": alert.rule,
                "level": alert.level,
                "state": alert.state,
                "count": alert.count,
                "sentence": alert.sentence,
                "event_at": _utc(alert.event_at),
                "raised_at": _utc(alert.raised_at),
            }
            for alert in run.alerts.order_by("raised_at")
        ],
        "interventions": [
            {"at": _utc(event.at), "sentence": event.sentence} for event in run.events.filter(kind="intervention")
        ],
    }


def _environment(run: Run) -> str:
    return "rehearsal" if run.campaign.target.spec.get("ledger", {}).get("url", "").startswith("rehearsal:") else "own"


def _findings(run: Run) -> list[dict[str, Any]]:
    rows = run.findings.order_by("found_at", "pk")[:FINDINGS_LIMIT]
    found = [
        Finding(row.rule, Level(row.level), row.sentence, row.expected, row.measured, row.difference, row.where)
        for row in rows
    ]
    return [
        {
            "check": group.rule,
            "level": group.level,
            "count": group.count,
            "sentence": group.first.sentence,
            "expected": group.worst.expected,
            "measured": group.worst.measured,
            "difference": group.worst.difference,
            "where": group.worst.where,
            "first": group.first.sentence,
            "worst": group.worst.sentence,
            "last": group.last.sentence,
        }
        for group in grouped(found)
    ]


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def write_file(report: Report, folder: Path) -> Path:
    """Write the report's JSON into the folder; an interrupted write leaves no file of that name."""
    return write_json(report.content, folder / report.file_name)


def write_json(content: dict[str, Any], path: Path) -> Path:
    """Write a report's content, whole or not at all; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, suffix=".part") as draft:
        json.dump(content, draft, indent=2, ensure_ascii=False)
        draft.flush()
        os.fsync(draft.fileno())
    Path(draft.name).chmod(0o644)
    Path(draft.name).replace(path)
    return path
