"""An audit without a portal: of a sealed snapshot, or of a ledger read into one. Needs no database of ours."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings

from audits.checks import CHECKS
from audits.judge import CheckResult, sealed_snapshot
from audits.relation_files import SnapshotUnreadable
from audits.since import judging_since
from audits.snapshot import Snapshot, take_snapshot
from audits.sources import Broker, Ledger, LedgerUnreadable
from audits.sources.opening import ledger_at
from audits.sources.statement import read_statement
from gates.criteria import verdict_of
from gates.ledger_audit.commands import CannotAuditError
from gates.ledger_audit.criteria import audit_criteria
from gates.ledger_audit.lines import Line, named_line, report_fields, seen_of, snapshot_facts
from gates.ledger_audit.plans import AuditPlan, audit_plan_for, checks_named

NO_MINIMUM = AuditPlan("", limit_s=0, min_balance_events=1, min_executions=1)
MOST_ZIPPED_BYTES = 64 * 2**30
NOT_COUNTED = "It was made from a terminal, outside of any campaign."

VERDICTS = ("passed", "failed", "inconclusive")

Judged = Callable[[int, int, CheckResult], None]


@dataclass(frozen=True, slots=True)
class Part:
    """What an audit is narrowed to: some checks, or findings since a moment. Neither: the whole."""

    only: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def partial(self) -> bool:
        """Whether it is narrowed at all; such an audit never passes."""
        return bool(self.only or self.since)


def ledger_of(place: str, schema: str) -> Ledger:
    """Return the ledger at an address or in a folder; `env:NAME` names the variable that holds an address.

    A hosted ledger (https://…) is read with the key in SUPABASE_KEY. Raises CannotAuditError.
    """
    if place.startswith("env:"):
        name = place.removeprefix("env:")
        place = os.environ.get(name, "")
        if not place:
            raise CannotAuditError(f"--ledger names the variable {name}, which is not set.")
    if "://" not in place and not Path(place).is_dir():
        raise CannotAuditError("--ledger must be an address (postgresql://…, https://…) or a folder of ledger files.")
    try:
        return ledger_at(
            place, schema=schema, key=os.environ.get("SUPABASE_KEY", ""), max_age_s=settings.SNAPSHOT_LIMIT_S
        )
    except LedgerUnreadable as error:
        raise CannotAuditError(str(error)) from error


def brokers_in(files: list[Path]) -> tuple[Broker, ...]:
    """Return the broker's accounts in the statement's files; none without files. Raises StatementUnreadable."""
    return tuple(read_statement(files)) if files else ()


def read_books(ledger: Ledger, brokers: tuple[Broker, ...], folder: Path) -> Snapshot:
    """Read them into a snapshot at `folder`, whole or not at all. Books at rest are not waited for to tie."""
    return take_snapshot(ledger, brokers or None, folder, tie_limit_s=1.0, whole=False)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield the folder of a snapshot; a downloaded zip is unpacked for as long as the block runs.

    Raises SnapshotUnreadable for a zip that is broken, too large, or names files outside of one folder.
    """
    if not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="wartest-snapshot-") as place:
        try:
            with zipfile.ZipFile(path) as packed:
                _unpack(packed, Path(place))
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise SnapshotUnreadable(
                f"{path} is neither a snapshot's folder nor a whole zip of one: {error}."
            ) from error
        yield Path(place)


def _unpack(packed: zipfile.ZipFile, place: Path) -> None:
    files = [entry for entry in packed.infolist() if not entry.is_dir()]
    if sum(entry.file_size for entry in files) > MOST_ZIPPED_BYTES:
        raise SnapshotUnreadable("The zip holds more than 64 GiB: unpack it yourself and name the folder.")
    for entry in files:
        name = PurePosixPath(entry.filename)
        if name.is_absolute() or ".." in name.parts or len(name.parts) > 2:
            raise SnapshotUnreadable(f"The zip names a file outside of its folder: {entry.filename!r}.")
        with packed.open(entry) as source, (place / name.name).open("wb") as copy:
            shutil.copyfileobj(source, copy)


def judge_snapshot(folder: Path, part: Part, judged: Judged) -> tuple[Snapshot, list[Line]]:
    """Judge the checks one by one, telling each to `judged` as (number, of how many, result).

    Raises SnapshotUnreadable, UnknownCheckError.
    """
    names = checks_named(part.only)
    checks = tuple(check for check in CHECKS if not names or check.name in names)
    snapshot = sealed_snapshot(folder, None)
    lines = []
    for number, result in enumerate(judging_since(snapshot, checks, part.since), start=1):
        judged(number, len(checks), result)
        lines.append(named_line(result))
    return snapshot, lines


@dataclass(frozen=True, slots=True)
class Span:
    """When the audit began and ended, aware UTC."""

    start: datetime
    end: datetime


def report_alone(snapshot: Snapshot, lines: list[Line], part: Part, span: Span, profile: str | None) -> dict[str, Any]:
    """Return the report's fields without kind and seal, as `gates.report_fields.run_fields` does for a run.

    Without a profile the books are judged by themselves: a pass needs one row for each criterion, not a number of them.
    """
    plan = audit_plan_for(profile, part.only) if profile else _without_minimum(part)
    seen = [seen_of(line["name"], line["verdict"], line) for line in lines]
    table = audit_criteria(plan, seen, broker=bool(snapshot.broker), partial=part.partial)
    verdicts_seen = [line["verdict"] for line in lines]
    return {
        "schema": "wartest.report/1",
        "verdict": verdict_of(table).value,
        "profile": profile,
        "target": {"name": snapshot.ledger, "build": "unknown", "environment": "own"},
        "campaign": None,
        "run": None,
        "planned": {"start": _utc(span.start), "end": _utc(span.end)},
        "measured": {
            "start": _utc(span.start),
            "end": _utc(span.end),
            "duration_s": round((span.end - span.start).total_seconds(), 3),
        },
        "criteria": [asdict(line) for line in table],
        "slots": {"planned": len(lines), **{name: verdicts_seen.count(name) for name in VERDICTS}},
        "alerts": [],
        "interventions": [],
        "counted": False,
        "not_counted_because": NOT_COUNTED,
        **report_fields(lines, snapshot_facts(snapshot)),
    }


def _without_minimum(part: Part) -> AuditPlan:
    names = checks_named(part.only) or NO_MINIMUM.checks
    return AuditPlan("", 0, NO_MINIMUM.min_balance_events, NO_MINIMUM.min_executions, names)


def _utc(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
