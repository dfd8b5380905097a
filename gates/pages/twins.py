"""The `.json` twin of each page: the same facts, money as text, times in UTC."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from audits.findings import FindingGroup
from gates.models import Alert, Finding, Run, RunEvent, Slot
from gates.pages.rows import GateStep, SlotCounts, status_of


def moment(at: datetime | None) -> str | None:
    """Return RFC 3339 in UTC, with milliseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z" if at else None


def run_twin(run: Run) -> dict[str, Any]:
    return {
        "run": run.pk,
        "campaign": run.campaign_id,
        "target": run.campaign.target.name,
        "build": run.campaign.build,
        "profile": run.campaign.profile,
        "gate": run.gate,
        "gate_name": run.get_gate_display(),
        "state": run.state,
        "verdict": run.verdict,
        "planned": {"start": moment(run.planned_start), "end": moment(run.planned_end)},
        "closed_at": moment(run.closed_at),
        "cursor": run.cursor,
        "url": run.get_absolute_url(),
    }


def counts_twin(counts: SlotCounts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in SlotCounts.__slots__}


def step_twin(step: GateStep) -> dict[str, Any]:
    return {
        "gate": step.number,
        "name": step.name,
        "status": step.status,
        "run": step.run.pk if step.run else None,
        "reason": step.reason,
    }


def alert_twin(alert: Alert) -> dict[str, Any]:
    return {
        "rule": alert.rule,
        "level": alert.level,
        "sentence": alert.sentence,
        "state": alert.state,
        "count": alert.count,
        "run": alert.run_id,
        "event_at": moment(alert.event_at),
        "raised_at": moment(alert.raised_at),
        "deadline_at": moment(alert.deadline_at),
    }


def event_twin(event: RunEvent) -> dict[str, Any]:
    return {"at": moment(event.at), "kind": event.kind, "level": event.level, "sentence": event.sentence}


def group_twin(group: FindingGroup) -> dict[str, Any]:
    return {
        "rule": group.rule,
        "level": group.level,
        "count": group.count,
        "first": _brief(group.first),
        "worst": _brief(group.worst),
        "last": _brief(group.last),
    }


def finding_twin(finding: Finding) -> dict[str, Any]:
    return {
        "finding": finding.pk,
        "run": finding.run_id,
        "slot": finding.slot_id,
        "rule": finding.rule,
        "level": finding.level,
        "sentence": finding.sentence,
        "expected": finding.expected,
        "measured": finding.measured,
        "difference": finding.difference,
        "where": finding.where,
        "found_at": moment(finding.found_at),
    }


def slot_twin(slot: Slot, findings: Iterable[Finding] = ()) -> dict[str, Any]:
    result = getattr(slot, "result", None)
    return {
        "slot": slot.pk,
        "run": slot.run_id,
        "check": slot.check_name,
        "window": {"start": moment(slot.window_start), "end": moment(slot.window_end)},
        "due_at": moment(slot.due_at),
        "grace_until": moment(slot.grace_until),
        "state": slot.state,
        "status": status_of(slot),
        "attempt": slot.attempt,
        "worker": slot.worker,
        "result": result
        and {
            "verdict": result.verdict,
            "reason": result.reason,
            "measured": result.measured,
            "started_at": moment(result.started_at),
            "finished_at": moment(result.finished_at),
        },
        "findings": [finding_twin(finding) for finding in findings],
    }


def _brief(finding: Any) -> dict[str, Any]:
    names = ("sentence", "expected", "measured", "difference", "where")
    return {name: getattr(finding, name) for name in names}
