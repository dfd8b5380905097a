"""The target's own comparison with the broker took too long."""

from datetime import timedelta

from gates.alerts.rules.observed import Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, moment, nothing_new, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """Each reconciliation that took longer than `reconciliation_ms`; clean is a later one in time."""
    if seen.books is None:
        return unseen(seen.why_unseen("books"))
    fresh = seen.books.reconciliations
    if not fresh:
        return nothing_new("the target has not reconciled since")
    limit_ms = limits["reconciliation_ms"]
    slow = tuple(
        Breach(
            key=row.reconciliation_id,
            sentence=f"The target's reconciliation at {moment(row.started_at)} took {row.duration_ms:f} ms.",
            event_at=row.started_at + timedelta(milliseconds=float(row.duration_ms)),
            threshold=f"at most {limit_ms:g} ms",
            cause={"reconciliation_id": row.reconciliation_id, "duration_ms": str(row.duration_ms)},
        )
        for row in fresh
        if row.duration_ms > limit_ms
    )
    last = fresh[-1]
    return judged(slow, f"The reconciliation at {moment(last.started_at)} took {last.duration_ms:f} ms.")


RULE = Rule(
    name="reconciliation latency > 1 s",
    level="high",
    watches="the ledger's reconciliations, each once it is written",
    thresholds=("reconciliation_ms",),
    rechecked_by="a later reconciliation of the target's is in time",
    runbook=Runbook(
        means="The target notices too late when its books and the broker's differ.",
        look_at="the broker's answer times, the number of open positions, locks in the ledger",
        leave_alone="do not make reconciliations rarer: that hides it",
    ),
    judge=judge,
)
