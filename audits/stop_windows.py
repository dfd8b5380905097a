"""Stops in one window: each stop loss and take profit that the market touched was executed. Pure.

Judged from the broker's own records alone: its transactions say when a stop lived and what executed it, its S5 bid and
ask candles say whether the market reached it. Rule of OANDA's DEFAULT trigger condition: a long trade's stops are
reached by the bid, a short trade's by the ask.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from audits.findings import Finding, Level
from audits.stop_records import Candle, Fill, StopOrder, floor_to_candle
from audits.touches import Market, Touch, between, by_trade, closed_beyond, find_touch
from audits.verdicts import Verdict

NOT_EXECUTED = "stop touched, not executed"
LATE = "stop executed late"
CLOSED_BEYOND = "closed beyond its stop by something else"
TOO_EARLY = "the broker was read before the window was over by its own clock: correct the portal's"


@dataclass(frozen=True, slots=True)
class StopsJudgement:
    """What one window [start, end) shows. `executed` are the touches executed within the limit.

    It is `whole` when the broker was read after its end, by the broker's clock too.
    """

    touches: tuple[Touch, ...]
    executed: tuple[Touch, ...]
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]
    prices_seen: int
    stops_live: int
    whole: bool

    @property
    def latencies_ms(self) -> tuple[float, ...]:
        """Latency of each executed touch, in milliseconds."""
        return tuple(touch.latency_ms for touch in self.executed if touch.latency_ms is not None)

    @property
    def slippages(self) -> tuple[Decimal, ...]:
        """Slippage of each executed touch in price; positive is against the trade."""
        return tuple(touch.slippage for touch in self.executed if touch.slippage is not None)

    @property
    def slippages_pips(self) -> tuple[Decimal, ...]:
        """Slippage of each executed touch in pips; positive is against the trade."""
        return tuple(touch.slippage_pips for touch in self.executed if touch.slippage_pips is not None)

    @property
    def reason(self) -> str:
        """Why the window is inconclusive, or nothing."""
        return "; ".join(self.reasons)

    @property
    def verdict(self) -> Verdict:
        """Failed by any finding, inconclusive by any reason; no touch at all is judged by the gate's minimum."""
        if self.findings:
            return Verdict.FAILED
        return Verdict.INCONCLUSIVE if self.reasons else Verdict.PASSED


def judge_stops(  # noqa: PLR0913  three kinds of records, a window, and four limits with defaults
    orders: Iterable[StopOrder],
    candles: Mapping[str, Iterable[Candle]],
    fills: Iterable[Fill],
    window_start: datetime,
    window_end: datetime,
    *,
    seen_until: datetime,
    limit_s: float = 5.0,
    candle_s: float = 5.0,
    pip_sizes: Mapping[str, Decimal] | None = None,
) -> StopsJudgement:
    """Judge the touches whose candle starts within [window_start, window_end).

    Give all stop orders, fills, and per instrument the candles from `needed_from` on, so that each window sees the
    same first touch of an order. `seen_until` is when the broker was read: a touch whose time limit was not yet over
    then is inconclusive, and so is a window that was not. An order is touched at most once:

    1. A candle that lies wholly inside the order's life and reaches the stop proves a touch.
    2. A candle that overlaps the life in part proves one only when a fill for the stop's reason executed it.
    3. A touch without that fill by `limit_s` after its candle's end is a critical finding.
    4. A trade closed by anything else at a price beyond its stop is one too.
    """
    fills = tuple(fills)
    market = Market(
        candles={name: sorted(given, key=lambda candle: candle.start) for name, given in candles.items()},
        fills={fill.order_id: fill for fill in fills},
        closing=by_trade(fills),
        candle=timedelta(seconds=candle_s),
        limit=timedelta(seconds=limit_s),
        pips=pip_sizes or {},
    )
    window = _Window(window_start, window_end, seen_until)
    for order in orders:
        window.judge(order, market)
    return window.judgement()


def needed_from(orders: Iterable[StopOrder], window_start: datetime) -> dict[str, datetime]:
    """Return per instrument the time from which candles are needed to judge windows from `window_start` on."""
    needed: dict[str, datetime] = {}
    for order in orders:
        if order.ended_at is None or order.ended_at >= window_start:
            earliest = min(needed.get(order.instrument, window_start), order.created_at)
            needed[order.instrument] = earliest
    return needed


class _Window:
    """What is found in one window, order by order."""

    def __init__(self, start: datetime, end: datetime, seen_until: datetime) -> None:
        self._start, self._end, self._seen_until = start, end, seen_until
        self._whole = seen_until >= end
        self._touches: list[Touch] = []
        self._executed: list[Touch] = []
        self._findings: list[Finding] = []
        self._reasons: list[str] = []
        self._prices: set[tuple[str, datetime]] = set()
        self._live = 0

    def judge(self, order: StopOrder, market: Market) -> None:
        """Look for the order's touch, and for prices while it lived in this window."""
        self._look_at_prices(order, market)
        touch = find_touch(order, market)
        if touch is not None:
            if self._start <= touch.touched_at < self._end:
                self._touches.append(touch)
                self._weigh(touch, market)
            return
        closed = closed_beyond(order, market)
        if closed is not None and self._start <= floor_to_candle(closed.time, market.candle) < self._end:
            self._findings.append(_closed_beyond_finding(order, closed))

    def judgement(self) -> StopsJudgement:
        """Return all of it, oldest touch first."""
        if not self._live:
            self._reasons.append("no stop loss and no take profit was live")
        if not self._whole:
            self._reasons.append(TOO_EARLY)
        return StopsJudgement(
            touches=tuple(sorted(self._touches, key=lambda touch: touch.touched_at)),
            executed=tuple(sorted(self._executed, key=lambda touch: touch.touched_at)),
            findings=tuple(self._findings),
            reasons=tuple(dict.fromkeys(self._reasons)),
            prices_seen=len(self._prices),
            stops_live=self._live,
            whole=self._whole,
        )

    def _look_at_prices(self, order: StopOrder, market: Market) -> None:
        start = max(self._start, order.created_at)
        end = min(self._end, order.ended_at or self._end, self._seen_until)
        if start >= end and not (start == end and order.created_at == order.ended_at):
            return
        self._live += 1
        if order.unjudged:
            self._reasons.append(f"order {order.order_id} cannot be judged: {order.unjudged}")
        seen = [
            candle
            for candle in between(market.candles.get(order.instrument, ()), start - market.candle, end)
            if candle.start + market.candle > start
        ]
        self._prices.update((order.instrument, candle.start) for candle in seen)
        if not seen and end - start >= market.candle:
            self._reasons.append(f"no prices of {order.instrument} were seen while order {order.order_id} was live")

    def _weigh(self, touch: Touch, market: Market) -> None:
        deadline = touch.touched_at + market.candle + market.limit
        if touch.executed_at is not None and touch.executed_at <= deadline:
            self._executed.append(touch)
        elif touch.executed_at is not None:
            self._findings.append(_late_finding(touch, deadline))
        elif self._seen_until > deadline:
            self._findings.append(_missed_finding(touch, deadline))
        else:
            self._reasons.append(f"order {touch.order.order_id} was touched just now: its time limit is not over yet")


def _where(order: StopOrder, moment: datetime) -> dict[str, str]:
    return {
        "order_id": order.order_id,
        "trade_id": order.trade_id,
        "instrument": order.instrument,
        "touched_at": moment.isoformat(),
    }


def _missed_finding(touch: Touch, deadline: datetime) -> Finding:
    order = touch.order
    return Finding(
        rule=NOT_EXECUTED,
        level=Level.CRITICAL,
        sentence=f"The {order.words} {order.order_id} of trade {order.trade_id} at {order.price} was touched by "
        f"{touch.touching_price} at {touch.touched_at.isoformat()}, but it was not executed.",
        expected=f"executed at {order.price} by {deadline.isoformat()}",
        measured=f"not executed; the market was at {touch.touching_price}",
        difference=str(abs(touch.touching_price - order.price)) if touch.touching_price is not None else "",
        where=_where(order, touch.touched_at),
    )


def _late_finding(touch: Touch, deadline: datetime) -> Finding:
    order = touch.order
    executed = touch.executed_at.isoformat() if touch.executed_at else ""
    return Finding(
        rule=LATE,
        level=Level.CRITICAL,
        sentence=f"The {order.words} {order.order_id} of trade {order.trade_id} was touched at "
        f"{touch.touched_at.isoformat()}, but executed only at {executed}.",
        expected=f"executed by {deadline.isoformat()}",
        measured=f"executed at {executed}, {touch.latency_ms} ms after the touch",
        difference=str(touch.latency_ms),
        where=_where(order, touch.touched_at) | {"fill_id": touch.fill_id or ""},
    )


def _closed_beyond_finding(order: StopOrder, fill: Fill) -> Finding:
    price = fill.price_of(order.trade_id) or Decimal(0)
    return Finding(
        rule=CLOSED_BEYOND,
        level=Level.CRITICAL,
        sentence=f"Trade {order.trade_id} was closed at {price} by {fill.reason}, beyond its {order.words} "
        f"{order.order_id} at {order.price}, which should have closed it before.",
        expected=f"closed by {order.kind} at {order.price}",
        measured=f"closed by {fill.reason} at {price}",
        difference=str(abs(price - order.price)),
        where=_where(order, fill.time) | {"fill_id": fill.fill_id},
    )
