"""The `.json` twins of the pages of gate 3."""

from typing import Any

from audits.around import Surroundings
from gates.ledger_audit.comparing import Compared
from gates.ledger_audit.pages import CheckLine, RuleGroup
from gates.models import Finding, LedgerAudit, Run
from gates.pages import twins


def audit_twin(run: Run, audit: LedgerAudit) -> dict[str, Any]:
    return {
        **twins.run_twin(run),
        "counted": audit.counted,
        "not_counted_because": audit.not_counted_because,
        "started_by": audit.started_by.get_username() if audit.started_by else None,
        "only": audit.only,
        "phase": audit.phase,
        "doing": audit.doing,
        "snapshot": {"manifest_sha256": audit.manifest_sha256, **audit.snapshot},
    }


def line_twin(check: CheckLine) -> dict[str, Any]:
    return {"number": check.number, "status": check.status, "applies": check.applies, **check.line}


def group_twin(group: RuleGroup) -> dict[str, Any]:
    ends = {"first": group.first, "worst": group.worst, "last": group.last}
    rows = {name: row.pk if row else None for name, row in ends.items()}
    return {"check": group.check, **group.group, "rows": rows}


def around_twin(found: Surroundings) -> dict[str, Any]:
    return {
        "relation": found.relation,
        "rows": [dict(zip(found.columns, row, strict=True)) for row in found.rows],
        "named": sorted(found.named),
    }


def compared_twin(line: Compared) -> dict[str, Any]:
    return {
        "check": line.name,
        "before": _brief(line.before),
        "after": _brief(line.after),
        **{name: [row.pk for row in getattr(line, name)] for name in ("came", "went", "stayed")},
    }


def _brief(line: dict[str, Any] | None) -> dict[str, Any] | None:
    return line and {name: line.get(name) for name in ("verdict", "applies", "rows", "findings", "duration_s")}


def triage_twin(finding: Finding, earlier: list[Finding]) -> dict[str, Any]:
    return {
        "state": finding.state,
        "owner": finding.owner.get_username() if finding.owner else None,
        "cause": finding.cause,
        "fix": finding.fix,
        "prevention_test": finding.prevention_test,
        "fingerprint": finding.fingerprint,
        "earlier": [row.pk for row in earlier],
    }
