"""A trade at the broker that the ledger does not hold, or a position that the broker does not have."""

from datetime import timedelta

from gates.alerts.rules.observed import Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """Both sides may be apart for `orphan_after_s`, while one is still booked."""
    if seen.apart is None:
        return unseen(seen.why_unseen("apart"))
    limit_s = limits["orphan_after_s"]
    limit = timedelta(seconds=limit_s)
    found = tuple(
        Breach(
            key=one.key,
            sentence=f"{one.words} for more than {limit_s:g} s.",
            event_at=one.since + limit,
            threshold=f"both sides within {limit_s:g} s",
            cause={"key": one.key, "since": one.since.isoformat()},
        )
        for one in seen.apart
        if seen.at >= one.since + limit
    )
    if not found and seen.apart:
        return unseen("one side is being booked just now")
    return judged(found, "Each open trade has its position, and each open position its trade.")


RULE = Rule(
    name="orphaned position",
    level="critical",
    watches="the broker's transaction stream against the ledger's open positions, both ways",
    thresholds=("orphan_after_s",),
    rechecked_by="each trade has its position and each position its trade",
    runbook=Runbook(
        means="There is real risk at the broker that the target does not know of, or a position that does not exist.",
        look_at="the trade named at the broker: who opened it, and with which client order id",
        leave_alone="do not close the trade before its origin is known: a hand fails the run",
    ),
    judge=judge,
)
