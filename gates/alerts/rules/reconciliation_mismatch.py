"""The target's own comparison with the broker found something."""

from gates.alerts.rules.observed import Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, moment, nothing_new, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """Each reconciliation that found a mismatch; clean is a later one that found none."""
    if seen.books is None:
        return unseen(seen.why_unseen("books"))
    fresh = seen.books.reconciliations
    if not fresh:
        return nothing_new("the target has not reconciled since")
    found = tuple(
        Breach(
            key=row.reconciliation_id,
            sentence=f"The target's reconciliation at {moment(row.started_at)} found {_count(row.mismatches)}.",
            event_at=row.started_at,
            threshold="0 mismatches",
            cause={"reconciliation_id": row.reconciliation_id, "started_at": row.started_at.isoformat()},
        )
        for row in fresh
        if row.mismatches
    )
    last = fresh[-1]
    return judged(found, f"The reconciliation at {moment(last.started_at)} found nothing.")


def _count(mismatches: int) -> str:
    return "1 mismatch" if mismatches == 1 else f"{mismatches} mismatches"


RULE = Rule(
    name="reconciliation mismatch",
    level="critical",
    watches="the ledger's reconciliations, each once it is written",
    thresholds=(),
    rechecked_by="a later reconciliation of the target's finds nothing",
    runbook=Runbook(
        means="The target itself sees that its books and the broker's differ.",
        look_at="open positions and balance on both sides, at the transaction that the reconciliation names",
        leave_alone="do not let the target correct its books to fit before somebody knows which side is right",
    ),
    judge=judge,
)
