"""A stop that was executed, but later than it should have been."""

from gates.alerts.rules.observed import Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, nothing_new, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """By the broker's clock, from the price that touched it to its fill; clean is a later one in time."""
    if seen.stops is None:
        return unseen(seen.why_unseen("stops"))
    limit_ms = limits["stop_latency_ms"]
    done = [(stop, stop.latency_ms) for stop in seen.stops if stop.latency_ms is not None]
    if not done:
        return nothing_new("no stop was executed since")
    slow = tuple(
        Breach(
            key=stop.order_id,
            sentence=f"{stop.words} and executed after {latency_ms:g} ms, at most {limit_ms:g} ms are well.",
            event_at=stop.at,
            threshold=f"at most {limit_ms:g} ms",
            cause={"order_id": stop.order_id, "latency_ms": latency_ms},
        )
        for stop, latency_ms in done
        if latency_ms > limit_ms
    )
    return judged(slow, f"{done[-1][0].words} and executed in {done[-1][1]:g} ms.")


RULE = Rule(
    name="SL/TP latency > 100 ms",
    level="high",
    watches="the broker's streams: from the price that touches a stop to its fill, by the broker's clock",
    thresholds=("stop_latency_ms",),
    rechecked_by="a later stop is executed in time",
    runbook=Runbook(
        means="Stops are executed, but late: in a fast market the price is worse than planned.",
        look_at="whether all stops are late or one instrument's, and the slippage of those fills",
        leave_alone="do not move stops nearer to make up for it",
    ),
    judge=judge,
)
