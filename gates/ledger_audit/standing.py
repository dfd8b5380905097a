"""What an audit's rows say: of its criteria, and of the campaign it belongs to."""

from typing import Any

from audits.verdicts import Verdict
from gates.criteria import Criterion
from gates.ledger_audit.criteria import CheckSeen, audit_criteria
from gates.ledger_audit.plans import AuditPlan
from gates.models import LedgerAudit, Run, Slot


def audit_criteria_of(run: Run) -> tuple[Criterion, ...]:
    """Judge an audit from its rows as they are now."""
    audit = LedgerAudit.objects.get(run=run)
    checks = tuple(_seen(slot) for slot in run.slots.select_related("result"))
    return audit_criteria(plan_of(run), checks, partial=audit.partial)


def plan_of(run: Run) -> AuditPlan:
    """Return the plan that the run was started with."""
    return AuditPlan(**run.plan | {"checks": tuple(run.plan["checks"])})


def campaign_verdict(run: Run) -> Verdict:
    """Return what a closed run says of its campaign: an audit that does not count proves no gate, so it is no pass."""
    verdict = Verdict(run.verdict or Verdict.INCONCLUSIVE)
    counted = not LedgerAudit.objects.filter(run=run, counted=False).exists()
    return verdict if counted or verdict != Verdict.PASSED else Verdict.INCONCLUSIVE


def _seen(slot: Slot) -> CheckSeen:
    measured: dict[str, Any] = slot.result.measured if slot.state == Slot.State.DONE else {}
    return CheckSeen(
        slot.check_name,
        Verdict(slot.verdict) if slot.verdict else None,
        rows=int(measured.get("rows", 0)),
        findings=int(measured.get("findings", 0)),
        applies=not measured.get("not_applicable"),
    )
