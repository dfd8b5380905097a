"""A check's result as one line of plain data: what a slot keeps, a report holds, a terminal and a page show. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from audits.findings import Finding
from audits.judge import CheckResult
from audits.snapshot import Snapshot
from audits.verdicts import Verdict
from gates.ledger_audit.criteria import CheckSeen

Line = dict[str, Any]


def line_of(result: CheckResult) -> Line:
    """Return what was measured; the groups count every finding, with the first, the worst and the last of each rule."""
    return {
        "title": result.title,
        "rows": result.rows,
        "findings": result.finding_count,
        "duration_s": result.duration_s,
        "applies": result.applies,
        "notes": list(result.notes),
        "groups": [
            {
                "rule": group.rule,
                "level": group.level.value,
                "count": group.count,
                "first": _words(group.first),
                "worst": _words(group.worst),
                "last": _words(group.last),
            }
            for group in result.groups
        ],
    }


def named_line(result: CheckResult) -> Line:
    """Return the line with the check's name, verdict and reason, as an audit without a portal keeps it."""
    return {"name": result.name, "verdict": result.verdict.value, "reason": reason_of(result), **line_of(result)}


def reason_of(result: CheckResult) -> str:
    """Return why it did not pass: its own reason, else its worst finding."""
    return result.reason or (result.groups[0].worst.sentence if result.groups else "")


def kept_findings(result: CheckResult) -> tuple[Finding, ...]:
    """Return the findings that a slot keeps: the first ones, and the worst and last of each rule."""
    kept = list(result.findings)
    for end in (end for group in result.groups for end in (group.worst, group.last)):
        if end not in kept:
            kept.append(end)
    return tuple(kept)


def seen_of(name: str, verdict: str | None, line: Line) -> CheckSeen:
    """Return the line as the criteria see it."""
    return CheckSeen(
        name,
        Verdict(verdict) if verdict else None,
        rows=int(line.get("rows", 0)),
        findings=int(line.get("findings", 0)),
        applies=bool(line.get("applies", True)),
    )


def snapshot_facts(snapshot: Snapshot) -> dict[str, Any]:
    """Return what is known of a sealed snapshot, for when its folder is gone."""
    files = snapshot.relations.values()
    return {
        "moment": snapshot.moment.isoformat().replace("+00:00", "Z"),
        "manifest_sha256": snapshot.manifest_sha256,
        "ledger": snapshot.ledger,
        "broker": snapshot.broker,
        "last_transaction_id": snapshot.last_transaction_id,
        "tied": snapshot.tied,
        "untied_because": snapshot.tie.reason,
        "rows": {name: entry.rows for name, entry in snapshot.relations.items()},
        "bytes": sum((snapshot.directory / entry.file).stat().st_size for entry in files),
    }


def report_fields(lines: Sequence[Line], snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that an audit's report has besides those of every report; `lines` are named."""
    return {
        "checks": [
            {
                "name": line["name"],
                "title": line.get("title", ""),
                "verdict": line["verdict"],
                "applies": line.get("applies", True),
                "rows": line.get("rows", 0),
                "findings": line.get("findings", 0),
                "duration_s": line.get("duration_s"),
                "reason": line.get("reason", ""),
                "notes": line.get("notes", []),
            }
            for line in lines
        ],
        "findings": [found for line in lines for found in _report_findings(line)],
        "snapshot": snapshot,
    }


def _report_findings(line: Line) -> Iterable[dict[str, Any]]:
    for group in line.get("groups", ()):
        worst = group["worst"]
        yield {
            "check": group["rule"],
            "of": line["name"],
            "level": group["level"],
            "count": group["count"],
            "sentence": group["first"]["sentence"],
            "expected": worst["expected"],
            "measured": worst["measured"],
            "difference": worst["difference"],
            "where": worst["where"],
            "first": group["first"]["sentence"],
            "worst": worst["sentence"],
            "last": group["last"]["sentence"],
        }


def _words(found: Finding) -> dict[str, Any]:
    return {
        "sentence": found.sentence,
        "expected": found.expected,
        "measured": found.measured,
        "difference": found.difference,
        "where": found.where,
    }
