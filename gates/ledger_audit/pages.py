"""What the pages of gate 3 show, read from the audit's rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet

from audits.judge import sealed_snapshot
from audits.relation_files import SnapshotUnreadable
from gates.ledger_audit.filling import snapshot_folder
from gates.ledger_audit.lines import Line
from gates.ledger_audit.standing import named_lines
from gates.models import Finding, LedgerAudit, Run
from gates.models.findings import TRIAGE

ENDS = ("first", "worst", "last")
MOST_FINDINGS = 5000  # of one audit: 18 checks keep 200 findings each, and the ends of their groups


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check as the page shows it; `status` is a verdict or, while it is not judged, `running` or `waiting`."""

    number: int
    line: Line
    status: str

    @property
    def title(self) -> str:
        return str(self.line.get("title") or self.line["name"].replace("_", " "))

    @property
    def applies(self) -> bool:
        return bool(self.line.get("applies", True))


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """All findings of one rule: how many, and the rows of the first, the worst and the last that were kept."""

    check: str
    group: dict[str, Any]
    first: Finding | None
    worst: Finding | None
    last: Finding | None


def check_lines(run: Run) -> list[CheckLine]:
    """Return a line for each check in the order of the table; the first that waits is the one being judged."""
    found, next_up = [], "running" if run.is_open else "waiting"
    for number, line in enumerate(named_lines(run), start=1):
        status = line["verdict"] or next_up
        next_up = "waiting" if status == "running" else next_up
        found.append(CheckLine(number, line, status))
    return found


def rule_groups(run: Run, lines: Iterable[CheckLine]) -> list[RuleGroup]:
    """Return the findings by check and rule, with the kept rows that a page can link to."""
    kept: dict[tuple[int, str], list[Finding]] = {}
    for row in run.findings.order_by("pk")[:MOST_FINDINGS]:
        kept.setdefault((row.slot_id or 0, row.rule), []).append(row)
    return [
        RuleGroup(
            line.title,
            group,
            *(
                _row_of(kept.get((line.line["slot"], group["rule"]), ()), group[end])
                for end in ("first", "worst", "last")
            ),
        )
        for line in lines
        for group in line.line.get("groups", ())
    ]


def _row_of(rows: Iterable[Finding], words: dict[str, Any]) -> Finding | None:
    return next((row for row in rows if row.where == words["where"] and row.sentence == words["sentence"]), None)


def snapshot_state(audit: LedgerAudit) -> tuple[bool, str]:
    """Return whether the sealed snapshot is there, and what is to say of it; its files are compared when read."""
    if not audit.manifest_sha256:
        return False, "The books are not sealed yet." if audit.run.is_open else "No snapshot was taken."
    try:
        sealed_snapshot(snapshot_folder(audit.run_id), audit.manifest_sha256)
    except SnapshotUnreadable as error:
        return False, str(error)
    return True, "The snapshot is there and its manifest is the sealed one."


def audits_of(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Return the audits among the runs, newest first, with what a list shows."""
    found = runs.filter(gate=3, audit__isnull=False).select_related("campaign__target", "audit")
    return found.order_by("-planned_start", "-pk")


def earlier_audits(run: Run, most: int = 20) -> list[Run]:
    """Return the closed audits of the same target before this one, newest first."""
    closed = Run.objects.filter(campaign__target=run.campaign.target_id, state=Run.State.CLOSED, pk__lt=run.pk)
    return list(audits_of(closed)[:most])


def earlier_selves(finding: Finding, most: int = 50) -> list[Finding]:
    """Return the same thing wrong, found before, newest first; findings from before fingerprints have none."""
    if not finding.fingerprint:
        return []
    same = Finding.objects.filter(fingerprint=finding.fingerprint, pk__lt=finding.pk)
    return list(same.select_related("run", "owner").order_by("-pk")[:most])


@dataclass(frozen=True, slots=True)
class Change:
    """One change of what people make of a finding: when, by whom, and what then was different."""

    at: datetime
    who: str
    changed: dict[str, str]

    @property
    def shown(self) -> list[tuple[str, str]]:
        return list(self.changed.items())


def changes_of(finding: Finding) -> list[Change]:
    """Return every recorded change of a finding, oldest first, each with the values that it changed."""
    found: list[Change] = []
    before: dict[str, str] = {"state": Finding.State.TO_INVESTIGATE.value}
    history = finding.changes.select_related("owner").order_by("pgh_id")  # type: ignore[attr-defined]
    names = _user_names(history)
    for row in history:
        after = {name: str(getattr(row, name) or "") for name in TRIAGE}
        changed = {name: value for name, value in after.items() if value != before.get(name, "")}
        who = names.get(_user_id(row), "a process of the portal")
        found.append(Change(row.pgh_created_at, who, changed))
        before = after
    return found


def _user_names(history: Iterable[Any]) -> dict[int, str]:
    users = User.objects.filter(pk__in={_user_id(row) for row in history})
    return {user.pk: user.get_username() for user in users}


def _user_id(row: Any) -> int:
    """Return who was signed in when the change was made; 0 is nobody."""
    return int((row.pgh_context or {}).get("user") or 0)


def totals(lines: Iterable[CheckLine]) -> dict[str, int]:
    """Return how the checks add up; those that do not apply are counted apart."""
    found = list(lines)
    applying = [line for line in found if line.applies]
    return {
        "planned": len(found),
        "judged": sum(line.line["verdict"] is not None for line in found),
        "passed": sum(line.line["verdict"] == "passed" for line in applying),
        "failed": sum(line.line["verdict"] == "failed" for line in applying),
        "inconclusive": sum(line.line["verdict"] == "inconclusive" for line in applying),
        "not_applicable": len(found) - len(applying),
        "rows": sum(int(line.line.get("rows", 0)) for line in found),
        "findings": sum(int(line.line.get("findings", 0)) for line in found),
    }
