"""A stop loss or take profit that the market touched and nobody executed in time."""

from datetime import timedelta

from gates.alerts.rules.observed import Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, nothing_new, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """A touched stop may wait for `stop_missed_s`; clean is one that was executed while none waits for longer."""
    if seen.stops is None:
        return unseen(seen.why_unseen("stops"))
    limit_s = limits["stop_missed_s"]
    limit = timedelta(seconds=limit_s)
    late = tuple(
        Breach(
            key=stop.order_id,
            sentence=f"{stop.words} and not executed within {limit_s:g} s.",
            event_at=stop.at + limit,
            threshold=f"executed within {limit_s:g} s",
            cause={"order_id": stop.order_id, "touched_at": stop.at.isoformat()},
        )
        for stop in seen.stops
        if stop.latency_ms is None and seen.at >= stop.at + limit
    )
    done = [stop for stop in seen.stops if stop.latency_ms is not None and stop.latency_ms <= limit_s * 1000]
    if not late and not done:
        return nothing_new("no stop was touched and executed since")
    return judged(late, f"{done[-1].words} and executed in {done[-1].latency_ms:g} ms; none waits." if done else "")


RULE = Rule(
    name="missed SL/TP trigger",
    level="critical",
    watches="the broker's streams: each price that touches a stop, and the fill that must follow",
    thresholds=("stop_missed_s",),
    rechecked_by="another stop is executed in time, and no touched one waits",
    runbook=Runbook(
        means="The price went through a stop and the position is still open: it may lose more with each tick.",
        look_at="the order and the trade at the broker, then whether the broker or the target let it pass",
        leave_alone="do not close it by hand in a judged run before the desk's owner says so: a hand fails the run",
    ),
    judge=judge,
)
