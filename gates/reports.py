"""Reports: what a run or a campaign proved, in the shape of `report.schema.json`, sealed, chained and signed."""

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from jsonschema import Draft202012Validator

from gates.chaos.reporting import chaos_report_fields
from gates.evidence.chaining import Belongs, append, lock_chain, sealed_next
from gates.evidence.files import SCHEMA_FILE
from gates.evidence.folder import write_file
from gates.evidence.keeping import keep_run
from gates.evidence.signing import portal_key
from gates.ledger_audit.standing import audit_report_fields
from gates.live_capital.standing import live_report_fields
from gates.models import Campaign, Report, Run
from gates.report_fields import campaign_fields, run_fields

KINDS = {1: "72-hour-test", 2: "chaos-test", 3: "manual-audit", 4: "live-capital"}
SUCCESS, FAILURE = "phase-7-success", "phase-7-failure"


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

    It is a success when each of the three gates passed and nothing stopped it, else a failure. Raises SigningKeyError.
    """
    closed = Run.objects.filter(campaign=campaign_id, state=Run.State.CLOSED, report=None).order_by("closed_at")
    for run_id in closed.values_list("pk", flat=True):
        write(run_id, now)
    with transaction.atomic():
        campaign = _lock_campaign(campaign_id)
        body = campaign_fields(campaign, now)
        kind = SUCCESS if body["verdict"] == "passed" else FAILURE
        report = Report.objects.filter(campaign=campaign, run=None, kind=kind).first()
        report = report or _chained(body | {"kind": kind}, Belongs(campaign), at=now, now=now)
    write_file(report, Path(settings.ENVIRONMENT.reports_dir))
    return report


def _lock_campaign(campaign_id: int) -> Campaign:
    """Lock the campaign before the chain: whoever moves it holds it already, and may write its report next."""
    return Campaign.objects.select_for_update(of=("self",)).select_related("target").get(pk=campaign_id)


def _run_report(run: Run, now: datetime) -> Report:
    """Keep the run's files first: its report names them by their hashes. Raises OSError."""
    body = run_fields(run) | {"kind": KINDS[run.gate], "evidence": keep_run(run)}
    if run.gate == 2:
        body |= chaos_report_fields(run)
    if run.gate == 3:
        body |= audit_report_fields(run)
    if run.gate == 4:
        body |= live_report_fields(run)
    return _chained(body, Belongs(run.campaign, run), at=run.closed_at or now, now=now)


def _chained(body: dict[str, Any], belongs: Belongs, *, at: datetime, now: datetime) -> Report:
    """Chain, sign, seal and keep a report. Raises ReportInvalidError, SigningKeyError."""
    lock_chain()
    body = sealed_next(body, portal_key())
    demand_valid(body)
    return append(body, belongs, at=at, now=now)


def demand_valid(body: dict[str, Any]) -> None:
    """Raise ReportInvalidError, naming the field, where the report is not what `report.schema.json` promises."""
    for mistake in sorted(_validator().iter_errors(body), key=lambda mistake: mistake.json_path)[:1]:
        raise ReportInvalidError(f"The report's {mistake.json_path} is not what the schema says: {mistake.message}")


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text("utf-8")))
