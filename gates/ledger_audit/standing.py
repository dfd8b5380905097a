"""What an audit's rows say: of its criteria, and of the campaign it belongs to."""

from typing import Any

from audits.verdicts import Verdict
from gates.criteria import Criterion
from gates.ledger_audit.criteria import audit_criteria
from gates.ledger_audit.lines import Line, report_fields, seen_of
from gates.ledger_audit.plans import AuditPlan
from gates.models import ChaosRun, LedgerAudit, LiveRun, Run, Slot


def audit_criteria_of(run: Run) -> tuple[Criterion, ...]:
    """Judge an audit from its rows as they are now."""
    audit = LedgerAudit.objects.get(run=run)
    checks = [seen_of(line["name"], line["verdict"], line) for line in named_lines(run)]
    return audit_criteria(plan_of(run), checks, partial=audit.partial)


def audit_report_fields(run: Run) -> dict[str, Any]:
    """Return what the report of an audit has besides the fields of every report."""
    audit = LedgerAudit.objects.get(run=run)
    counted = {"counted": audit.counted, "not_counted_because": audit.not_counted_because}
    return report_fields(named_lines(run), audit.snapshot) | counted


def plan_of(run: Run) -> AuditPlan:
    """Return the plan that the run was started with."""
    return AuditPlan(**run.plan | {"checks": tuple(run.plan["checks"])})


def campaign_verdict(run: Run) -> Verdict:
    """Return what a closed run says of its campaign: one that does not count proves no gate, so it is no pass."""
    verdict = Verdict(run.verdict or Verdict.INCONCLUSIVE)
    counted = not any(
        model.objects.filter(run=run, counted=False).exists() for model in (LedgerAudit, ChaosRun, LiveRun)
    )
    return verdict if counted or verdict != Verdict.PASSED else Verdict.INCONCLUSIVE


def named_lines(run: Run) -> list[Line]:
    """Return one line for each check of the audit, in the order of the table; one that waits has no rows yet."""
    slots = {slot.check_name: slot for slot in run.slots.select_related("result")}
    return [_line(slots[name]) for name in plan_of(run).checks if name in slots]


def _line(slot: Slot) -> Line:
    head = {"name": slot.check_name, "verdict": slot.verdict, "reason": "", "slot": slot.pk}
    if slot.state == Slot.State.HOLE:
        return head | {"reason": "It was not judged within the audit's limit."}
    if slot.state == Slot.State.DUE:
        return head
    return head | {"reason": slot.result.reason, **slot.result.measured}
