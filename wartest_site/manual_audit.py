"""The three forms of an audit from a terminal: of a target, of any ledger, of a sealed snapshot."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from audits.contract import BROKER_RELATIONS, RELATIONS
from audits.snapshot import MANIFEST
from gates import reports
from gates.evidence.files import write_json
from gates.evidence.sealing import sealed
from gates.ledger_audit import alone, terminal
from gates.ledger_audit.alone import Part, Span
from gates.ledger_audit.commands import Asked, CannotAuditError, start_audit
from gates.models import LedgerAudit, Report, Run, Slot
from gates.targets.queries import target_named
from wartest_site.report_folders import name_file
from wartest_site.stack import background_stack

POLL_S = 0.3
CLOSING_S = 60  # after the audit's limit: closing and report
KIND = "manual-audit"


@dataclass(frozen=True, slots=True)
class Wish:
    """What every form is asked: a part or the whole, a profile or none, and where the report goes."""

    part: Part
    profile: str | None
    reports_dir: Path


def audit_snapshot(place: Path, wish: Wish, out: Console) -> str:
    """Judge a sealed snapshot, from its files alone. Returns the verdict."""
    if not place.exists() or (place.is_dir() and not (place / MANIFEST).exists()):
        raise CannotAuditError(f"{place} holds no snapshot: name a folder with a {MANIFEST}, or its zip.")
    with alone.unpacked(place) as folder:
        return _judge_and_report(folder, wish, out, began=datetime.now(UTC))


def audit_ledger(source: dict[str, Any], wish: Wish, out: Console) -> str:
    """Read a ledger, and the broker's statement if there is one, into a snapshot that stays beside the report."""
    ledger = alone.ledger_of(source["ledger"], source["schema"])
    brokers = alone.brokers_in([Path(name) for name in source["transactions"]])
    began = datetime.now(UTC)
    folder = wish.reports_dir / f"{KIND}-{began:%Y%m%dT%H%M%SZ}.snapshot"
    telling = terminal.Telling(out)
    with telling.reading(folder, len(RELATIONS) + len(BROKER_RELATIONS) * bool(brokers)):
        alone.read_books(ledger, brokers, folder)
    return _judge_and_report(folder, wish, out, began=began)


def audit_target(name: str, wish: Wish, out: Console) -> str:
    """Start an audit in the portal, follow it to its report, and show it; it is live in the browser meanwhile."""
    with background_stack():
        asked = Asked(target_named(name), wish.profile or "production", wish.part.only, wish.part.since)
        run = start_audit(asked, started_by=None, now=timezone.now())
        report = _follow(run, out)
        terminal.show(report.content, out)
        _name_file(lambda: reports.write_file(report, wish.reports_dir), out)
        return report.verdict


def _judge_and_report(folder: Path, wish: Wish, out: Console, *, began: datetime) -> str:
    telling = terminal.Telling(out)
    with telling.judging():
        snapshot, lines = alone.judge_snapshot(folder, wish.part, telling.judged)
    content = _sealed(alone.report_alone(snapshot, lines, wish.part, Span(began, datetime.now(UTC)), wish.profile))
    terminal.show(content, out)
    _name_file(lambda: write_json(content, wish.reports_dir / f"{KIND}-{began:%Y%m%dT%H%M%SZ}.json"), out)
    return str(content["verdict"])


def _name_file(write: Callable[[], Path], out: Console) -> None:
    name_file(write, partial(out.print, markup=False, soft_wrap=True))


def _sealed(content: dict[str, Any]) -> dict[str, Any]:
    """A report that stands outside of the portal's chain: sealed by its hash alone, and unsigned."""
    content = sealed(content | {"kind": KIND}, previous=None, key=None)
    reports.demand_valid(content)
    return content


def _follow(run: Run, out: Console) -> Report:
    """Show how far it is until its report is there, within the audit's limit. Raises CannotAuditError after it."""
    ends = time.monotonic() + (run.planned_end - timezone.now()).total_seconds() + CLOSING_S
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as progress:
        bar = progress.add_task("waiting", total=1.0)
        said = ""
        while time.monotonic() < ends:
            report = Report.objects.filter(run=run).first()
            if report is not None:
                return report
            words, part = _how_far(run)
            progress.update(bar, completed=part, description=words)
            if not out.is_terminal and words != said:
                out.print(words, markup=False)
                said = words
            time.sleep(POLL_S)
    raise CannotAuditError("The audit did not close in time: are workers and beat running? See `manage.py preflight`.")


def _how_far(run: Run) -> tuple[str, float]:
    audit = LedgerAudit.objects.get(run=run)
    judged = run.slots.exclude(state=Slot.State.DUE).count()
    words = f"{audit.doing or audit.get_phase_display()}; {judged} of {run.slots.count()} checks judged"
    return words, audit.done_part
