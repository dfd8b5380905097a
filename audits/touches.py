"""Whether and when the market touched a stop, told from candles and fills. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from audits.stop_records import UNJUDGED, Candle, Fill, StopOrder, floor_to_candle


@dataclass(frozen=True, slots=True)
class Touch:
    """One stop reached by the market. It belongs to the window that holds `touched_at`, its candle's start.

    `touching_price` is the candle's furthest bid or ask; latency is from the touching price to the fill, slippage is
    positive when the fill was worse for the trade than the stop. Without a fill, the last five are None.
    """

    order: StopOrder
    touched_at: datetime
    touching_price: Decimal | None
    fill_id: str | None = None
    executed_at: datetime | None = None
    latency_ms: float | None = None
    slippage: Decimal | None = None
    slippage_pips: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """Candles by instrument, oldest first, each `candle_s` long, and the fills by the order that they executed."""

    candles: Mapping[str, Sequence[Candle]]
    fills: Mapping[str, Fill]
    closing: Mapping[str, Sequence[Fill]]
    candle: timedelta
    limit: timedelta
    pips: Mapping[str, Decimal] = field(default_factory=dict)


def find_touch(order: StopOrder, market: Market) -> Touch | None:
    """Return the order's one touch: the first candle that proves it, else the candle in which it was executed."""
    fill = _executing(order, market)
    if order.unjudged and fill is None:
        return None
    proof = None if order.unjudged else _first_proof(order, market)
    if fill is None:
        return None if proof is None else Touch(order, proof.start, order.reaching_price(proof))
    executed_in = floor_to_candle(fill.time, market.candle)
    touched_at = min(proof.start, executed_in) if proof else executed_in
    return _executed_touch(order, fill, touched_at, market)


def _executed_touch(order: StopOrder, fill: Fill, touched_at: datetime, market: Market) -> Touch:
    price = fill.price_of(order.trade_id)
    slippage = None if price is None else (order.price - price) * (1 if order.is_long else -1)
    pip = market.pips.get(order.instrument) or pip_size(order.instrument)
    candle = _at(market.candles.get(order.instrument, ()), touched_at)
    reached_at = max(touched_at, order.created_at)
    quoted_at, quote = fill.quoted_at, fill.bid if order.uses_bid else fill.ask
    # The price in the fill is the touching one only if the market had not been through the stop in an earlier candle.
    if quoted_at and quote is not None and order.is_reached_by(quote) and quoted_at < touched_at + market.candle:
        reached_at = max(reached_at, quoted_at)
    return Touch(
        order=order,
        touched_at=touched_at,
        touching_price=order.reaching_price(candle) if candle else quote,
        fill_id=fill.fill_id,
        executed_at=fill.time,
        latency_ms=max(0.0, round((fill.time - reached_at) / timedelta(milliseconds=1), 3)),
        slippage=slippage,
        slippage_pips=None if slippage is None else slippage / pip,
    )


def pip_size(instrument: str) -> Decimal:
    """Return the size of a pip in price: 0.01 where the quote currency is the yen or like it, else 0.0001."""
    return Decimal("0.01") if instrument.endswith(("_JPY", "_HUF", "_THB")) else Decimal("0.0001")


def _executing(order: StopOrder, market: Market) -> Fill | None:
    fill = market.fills.get(order.order_id)
    return fill if fill is not None and fill.reason == order.kind else None


def _first_proof(order: StopOrder, market: Market) -> Candle | None:
    end = order.ended_at or datetime.max.replace(tzinfo=order.created_at.tzinfo)
    for candle in between(market.candles.get(order.instrument, ()), order.created_at, end):
        if candle.start + market.candle > end:
            return None
        if order.is_reached_by(order.reaching_price(candle)):
            return candle
    return None


def closed_beyond(order: StopOrder, market: Market) -> Fill | None:
    """Return the fill, by anything but a stop, that closed the trade at a price beyond the order's."""
    if order.unjudged in UNJUDGED:
        return None
    for fill in market.closing.get(order.trade_id, ()):
        lived = order.created_at <= fill.time and (order.ended_at is None or fill.time <= order.ended_at)
        price = fill.price_of(order.trade_id)
        if lived and price is not None and not fill.is_stop and order.is_passed_by(price):
            return fill
    return None


def by_trade(fills: Iterable[Fill]) -> dict[str, list[Fill]]:
    """Return the fills by each trade that they closed or reduced."""
    closing: dict[str, list[Fill]] = {}
    for fill in fills:
        for trade_id in fill.closed:
            closing.setdefault(trade_id, []).append(fill)
    return closing


def between(candles: Sequence[Candle], start: datetime, end: datetime) -> Iterable[Candle]:
    """Candles that start within [start, end)."""
    for index in range(bisect_left(candles, start, key=lambda candle: candle.start), len(candles)):
        if candles[index].start >= end:
            return
        yield candles[index]


def _at(candles: Sequence[Candle], start: datetime) -> Candle | None:
    index = bisect_left(candles, start, key=lambda candle: candle.start)
    return candles[index] if index < len(candles) and candles[index].start == start else None
