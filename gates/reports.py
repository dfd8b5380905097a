"""Reports: what a run proved, in the shape of `report.schema.json`, sealed by its own hash."""

import hashlib
import json
import os
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import rfc8785
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Max
from jsonschema import Draft202012Validator

from audits.findings import Finding, Level, grouped
from gates import queries
from gates.chaos.reporting import chaos_report_fields
from gates.ledger_audit.standing import audit_report_fields
from gates.models import Report, Run

SCHEMA = "wartest.report/1"
KINDS = {1: "72-hour-test", 2: "chaos-test", 3: "manual-audit", 4: "live-capital"}
FINDINGS_LIMIT = 10_000  # among so many the worst is looked for; all are counted
SCHEMA_FILE = Path(__file__).with_name("report.schema.json")
CHAIN_LOCK = 7_731_002  # any fixed number of our own: one report at a time is chained to the one before


class ReportInvalidError(Exception):
    """A report is not what the schema promises: a mistake of ours, so it is not written."""


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
    """Chain, seal and keep the report. Raises ReportInvalidError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (CHAIN_LOCK,))
    kind = KINDS[run.gate]
    previous = Report.objects.order_by("-pk").values_list("sha256", flat=True).first()
    body = content(run) | {"kind": kind}
    if run.gate == 2:
        body |= chaos_report_fields(run)
    if run.gate == 3:
        body |= audit_report_fields(run)
    sha256 = seal(body)
    body["seal"] = {"sha256": sha256, "previous": previous, "signed_by": None, "signature": None}
    demand_valid(body)
    return Report.objects.create(
        run=run,
        kind=kind,
        verdict=run.verdict or "inconclusive",
        content=body,
        sha256=sha256,
        file_name=_free_name(f"{kind}-{run.closed_at or now:%Y%m%dT%H%M%SZ}", run),
        created_at=now,
    )


def _free_name(stem: str, run: Run) -> str:
    """Return the name by the rule; of two runs that closed in the same second, the later one's names its run too."""
    name = f"{stem}.json"
    return f"{stem}-run-{run.pk}.json" if Report.objects.filter(file_name=name).exists() else name


def demand_valid(body: dict[str, Any]) -> None:
    """Raise ReportInvalidError, naming the field, where the report is not what `report.schema.json` promises."""
    for mistake in sorted(_validator().iter_errors(body), key=lambda mistake: mistake.json_path)[:1]:
        raise ReportInvalidError(f"The report's {mistake.json_path} is not what the schema says: {mistake.message}")


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8")))


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
        "slots": {key: counts[key] for key in ("planned", "passed", "failed", "inconclusive", "holes")},
        "alerts": [
            {
                "rule": alert.rule,
                "level": alert.level,
                "state": alert.state,
                "count": alert.count,
                "sentence": alert.sentence,
                "event_at": _utc(alert.event_at),
                "raised_at": _utc(alert.raised_at),
                "deadline_at": _utc(alert.deadline_at),
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
    totals = {
        row["rule"]: row for row in run.findings.order_by().values("rule").annotate(n=Count("pk"), last=Max("pk"))
    }
    last = dict(run.findings.filter(pk__in=[row["last"] for row in totals.values()]).values_list("rule", "sentence"))
    return [
        {
            "check": group.rule,
            "level": group.level,
            "count": totals[group.rule]["n"],
            "sentence": group.first.sentence,
            "expected": group.worst.expected,
            "measured": group.worst.measured,
            "difference": group.worst.difference,
            "where": group.worst.where,
            "first": group.first.sentence,
            "worst": group.worst.sentence,
            "last": last[group.rule],
        }
        for group in grouped(found)
    ]


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def write_file(report: Report, folder: Path) -> Path:
    """Write the report's JSON into the folder; an interrupted write leaves no file of that name."""
    return write_json(report.content, folder / report.file_name)


def write_json(content: dict[str, Any], path: Path) -> Path:
    """Write a report's content, whole or not at all; the folder is made where it is missing.

    Another report that has the name already is left as it is: this one's name then ends with the start of its hash.
    Returns the path written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not _holds(path, content):
        path = path.with_stem(f"{path.stem}-{content['seal']['sha256'][:8]}")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False, suffix=".part") as draft:
        json.dump(_in_order(content), draft, indent=2, ensure_ascii=False)
        draft.flush()
        os.fsync(draft.fileno())
    Path(draft.name).chmod(0o644)
    Path(draft.name).replace(path)
    return path


def _in_order(content: dict[str, Any]) -> dict[str, Any]:
    """Return the fields in the order of the schema, verdict first; the database keeps none."""
    named = [key for key in json.loads(SCHEMA_FILE.read_text("utf-8"))["properties"] if key in content]
    return {key: content[key] for key in (*named, *(key for key in content if key not in named))}


def _holds(path: Path, content: dict[str, Any]) -> bool:
    """Whether the file is this report already; the order of its fields does not matter."""
    try:
        return bool(json.loads(path.read_bytes()) == content)
    except ValueError:
        return False
