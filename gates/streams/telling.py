"""What the streams tell of a run's stops, in words for a person who is called at night."""

from dataclasses import dataclass, field
from datetime import timedelta

from audits.stop_records import StopOrder
from gates.alerts.rules import missed_trigger, stop_latency
from gates.alerts.rules.rule import moment
from gates.alerts.thresholds import DEFAULTS
from gates.streams.stopwatch import Executed, Missed
from gates.streams.writing import Happened

MISSED_TRIGGER = missed_trigger.RULE.name
SLOW_TRIGGER = stop_latency.RULE.name
SLOW_MS = DEFAULTS["stop_latency_ms"]


@dataclass(frozen=True, slots=True)
class Watched:
    """A run whose streams are held, and how its broker is reached. Never stored or logged: it holds the token."""

    run_id: int
    url: str = field(repr=False)
    account: str
    token: str = field(repr=False)
    limit_s: float
    latency_ms: float = SLOW_MS


def touch_of(order: StopOrder) -> str:
    """Say which stop was touched; what became of it follows."""
    return f"The {order.words} {order.order_id} of trade {order.trade_id} at {order.price} was touched"


def missed_of(watched: Watched, missed: Missed) -> Happened:
    """A stop that was touched and whose time is over; it happened when the time was over."""
    over = missed.touched_at + timedelta(seconds=watched.limit_s)
    sentence = (
        f"{touch_of(missed.order)} by {missed.price} at {moment(missed.touched_at)} and not executed within "
        f"{watched.limit_s:g} s."
    )
    cause = {"order_id": missed.order.order_id, "trade_id": missed.order.trade_id}
    limit = f"executed within {watched.limit_s:g} s"
    return Happened(watched.run_id, MISSED_TRIGGER, "critical", sentence, over, cause, limit)


def slow_of(watched: Watched, stop: Executed) -> Happened:
    """A stop that was executed late."""
    limit = f"at most {watched.latency_ms:g} ms"
    least = "" if stop.timed else "at least "
    sentence = f"{touch_of(stop.order)} and executed {least}{stop.latency_ms:g} ms later, {limit} are well."
    cause = {"order_id": stop.order.order_id, "trade_id": stop.order.trade_id, "transaction_id": stop.fill.fill_id}
    return Happened(watched.run_id, SLOW_TRIGGER, "high", sentence, stop.fill.time, cause, limit)
