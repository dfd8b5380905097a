"""Reports: what a run or a campaign proved, in the shape of `report.schema.json`, sealed, chained and signed."""

import json
import os
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from jsonschema import Draft202012Validator

from gates.chaos.reporting import chaos_report_fields
from gates.evidence.sealing import sealed
from gates.evidence.signing import portal_key
from gates.ledger_audit.standing import audit_report_fields
from gates.live_capital.standing import live_report_fields
from gates.models import Campaign, Report, Run
from gates.report_fields import campaign_fields, run_fields

KINDS = {1: "72-hour-test", 2: "chaos-test", 3: "manual-audit", 4: "live-capital"}
SUCCESS, FAILURE = "phase-7-success", "phase-7-failure"
SCHEMA_FILE = Path(__file__).with_name("report.schema.json")
CHAIN_LOCK = 7_731_002  # any fixed number of our own: one report at a time is chained to the one before


class ReportInvalidError(Exception):
    """A report is not what the schema promises: a mistake of ours, so it is not written."""


def missing() -> list[int]:
    """Return ids of closed runs without a report, oldest first, a few at a time."""
    closed = Run.objects.filter(state=Run.State.CLOSED, report=None).order_by("closed_at")
    return list(closed.values_list("pk", flat=True)[:10])


def write(run_id: int, now: datetime) -> Report:
    """Write the report of a closed run, once: the row first, then the file, which is made whole or not at all.

    Raises SigningKeyError; then nothing is written.
    """
    with transaction.atomic():
        _lock_campaign(Run.objects.values_list("campaign_id", flat=True).get(pk=run_id))
        run = Run.objects.select_for_update(of=("self",)).select_related("campaign__target").get(pk=run_id)
        report = Report.objects.filter(run=run).first() or _run_report(run, now)
    write_file(report, Path(settings.ENVIRONMENT.reports_dir))
    return report


def write_campaign(campaign_id: int, now: datetime) -> Report:
    """Write the report on gates 1 to 3 of a campaign, once of each kind, after those of its closed runs.

    It is a success when each of the three gates passed, else a failure. Raises SigningKeyError.
    """
    closed = Run.objects.filter(campaign=campaign_id, state=Run.State.CLOSED, report=None).order_by("closed_at")
    for run_id in closed.values_list("pk", flat=True):
        write(run_id, now)
    with transaction.atomic():
        campaign = _lock_campaign(campaign_id)
        body = campaign_fields(campaign, now)
        kind = SUCCESS if body["verdict"] == "passed" else FAILURE
        report = Report.objects.filter(campaign=campaign, run=None, kind=kind).first()
        report = report or _chained(body | {"kind": kind}, campaign=campaign, run=None, now=now)
    write_file(report, Path(settings.ENVIRONMENT.reports_dir))
    return report


def _lock_campaign(campaign_id: int) -> Campaign:
    """Lock the campaign before the chain: whoever moves it holds it already, and may write its report next."""
    return Campaign.objects.select_for_update(of=("self",)).select_related("target").get(pk=campaign_id)


def _run_report(run: Run, now: datetime) -> Report:
    body = run_fields(run) | {"kind": KINDS[run.gate]}
    if run.gate == 2:
        body |= chaos_report_fields(run)
    if run.gate == 3:
        body |= audit_report_fields(run)
    if run.gate == 4:
        body |= live_report_fields(run)
    return _chained(body, campaign=run.campaign, run=run, now=now)


def _chained(body: dict[str, Any], *, campaign: Campaign, run: Run | None, now: datetime) -> Report:
    """Chain, sign, seal and keep a report. Raises ReportInvalidError, SigningKeyError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (CHAIN_LOCK,))
    previous = Report.objects.order_by("-pk").values_list("sha256", flat=True).first()
    body = sealed(body, previous=previous, key=portal_key())
    demand_valid(body)
    at = run.closed_at if run and run.closed_at else now
    return Report.objects.create(
        run=run,
        campaign=campaign,
        kind=body["kind"],
        verdict=body["verdict"] or "inconclusive",
        content=body,
        sha256=body["seal"]["sha256"],
        file_name=_free_name(f"{body['kind']}-{at:%Y%m%dT%H%M%SZ}", run or campaign),
        created_at=now,
    )


def _free_name(stem: str, of: Run | Campaign) -> str:
    """Return the name by the rule; of two that closed in the same second, the later one's names its run too."""
    name = f"{stem}.json"
    word = "run" if isinstance(of, Run) else "campaign"
    return f"{stem}-{word}-{of.pk}.json" if Report.objects.filter(file_name=name).exists() else name


def demand_valid(body: dict[str, Any]) -> None:
    """Raise ReportInvalidError, naming the field, where the report is not what `report.schema.json` promises."""
    for mistake in sorted(_validator().iter_errors(body), key=lambda mistake: mistake.json_path)[:1]:
        raise ReportInvalidError(f"The report's {mistake.json_path} is not what the schema says: {mistake.message}")


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8")))


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
