"""Stops judged as it happens: which the market has touched, how fast each was executed, which was not. Pure.

The rule of the touch is the audit's (`audits.stop_records`): a long trade's stops are reached by the bid, a short
trade's by the ask, unless their trigger condition says otherwise. A price here is what the stream sampled, at most
four times a second; what happened between two samples is found by the slots, in the broker's candles.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from audits.stop_records import STOP_KINDS, Fill, StopOrder, fills_from, orders_from
from audits.transactions import FILL, Record, exact
from gates.streams.lines import Quote

MOST_ORDERS = 100_000


class TooManyStopsError(ValueError):
    """More stops are live than one process watches."""


@dataclass(frozen=True, slots=True)
class Executed:
    """A stop that was touched and executed; latency in milliseconds of the broker's clock, slippage in price.

    Where it is not `timed`, it may have been touched unseen, before `touched_at`: the latency is the least that it can
    be, and no proof that the stop was executed in time.
    """

    order: StopOrder
    fill: Fill
    touched_at: datetime
    latency_ms: float
    slippage: Decimal | None
    timed: bool = True


@dataclass(frozen=True, slots=True)
class Missed:
    """A stop that was touched and, `limit` later, still not executed."""

    order: StopOrder
    touched_at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class _Touched:
    order: StopOrder
    at: datetime
    price: Decimal
    received_s: float
    missed: bool = False


class Stopwatch:
    """The live stops of one account. `limit_s` is how long a touched stop may take, in seconds.

    Latency is told by the broker's clock alone. Whether a stop is overdue is told by the caller's monotonic clock, in
    seconds: a clock of the broker or of ours that jumps makes no alarm and hides none.

    While no price is seen (before the first one, and after `look_away`) any live stop may be touched. It is timed again
    from the first price on that does not reach it; one whose touch was seen and then forgotten never is.
    """

    def __init__(self, *, limit_s: float) -> None:
        self._limit_s = limit_s
        self._live: dict[str, dict[str, StopOrder]] = {}
        self._instrument_of: dict[str, str] = {}
        self._units: dict[str, Decimal] = {}
        self._trade_instruments: dict[str, str] = {}
        self._touched: dict[str, _Touched] = {}
        self._away = True
        self._unseen: set[str] = set()
        self._forgotten: set[str] = set()

    @property
    def live(self) -> int:
        """How many stops are watched."""
        return len(self._instrument_of)

    @property
    def instruments(self) -> frozenset[str]:
        """Instruments with a stop that is watched."""
        return frozenset(name for name, orders in self._live.items() if orders)

    def begin(self, account: Mapping[str, Any], missed: Iterable[Missed] = ()) -> None:
        """Take over the trades and stops of an account, as `GET /accounts/{id}` tells them, and which are `missed`."""
        for trade in account.get("trades") or ():
            self._open(str(trade["id"]), str(trade["instrument"]), exact(trade, "currentUnits"))
        for order in account.get("orders") or ():
            kind = f"{order.get('type', '')}_ORDER"
            if kind in STOP_KINDS:
                self._add(order | {"type": kind, "time": order.get("createTime")})
        for one in missed:
            if one.order.order_id in self._instrument_of:
                touched = _Touched(one.order, one.touched_at, one.price, 0.0, missed=True)
                self._touched[one.order.order_id] = touched

    def learn(self, record: Record) -> tuple[Executed, ...]:
        """Take one transaction, in order; return the stop that it executed."""
        if record.get("type") in STOP_KINDS:
            self._add(record)
        if record.get("type") == "ORDER_CANCEL":
            self._end(str(record.get("orderID")))
        if record.get("type") != FILL:
            return ()
        fill = fills_from([record])[0]
        opened = record.get("tradeOpened")
        if opened:
            self._open(str(opened["tradeID"]), fill.instrument, exact(opened, "units"))
        return self._executed(fill)

    def quote(self, quote: Quote, received_s: float) -> None:
        """Take one price, received at this time: note which live stops it reaches, the first time that it does."""
        self._away = False
        for order in self._live.get(quote.instrument, {}).values():
            price = quote.bid if order.uses_bid else quote.ask
            if order.order_id in self._touched or order.unjudged or quote.at < order.created_at:
                continue
            if order.is_reached_by(price):
                self._touched[order.order_id] = _Touched(order, quote.at, price, received_s)
            else:
                self._unseen.discard(order.order_id)

    def overdue(self, now_s: float) -> tuple[Missed, ...]:
        """Return the stops whose time is over and that were not called missed yet.

        The fill may still be on its way: know that none came before you call one missed.
        """
        return tuple(
            Missed(touched.order, touched.at, touched.price)
            for touched in self._touched.values()
            if not touched.missed and now_s > touched.received_s + self._limit_s
        )

    def miss(self, order_id: str) -> bool:
        """Call a stop missed; False where it is so called already, or was executed or taken back meanwhile."""
        touched = self._touched.get(order_id)
        if touched is None or touched.missed:
            return False
        self._touched[order_id] = replace(touched, missed=True)
        return True

    @property
    def missed(self) -> tuple[Missed, ...]:
        """The stops that were called missed and still wait."""
        return tuple(Missed(one.order, one.at, one.price) for one in self._touched.values() if one.missed)

    def look_away(self) -> None:
        """No price is seen from now on: which stops are touched meanwhile will not be known."""
        self._away = True
        self._unseen |= self._instrument_of.keys() - self._touched.keys()

    def forget_touches(self, now_s: float) -> tuple[StopOrder, ...]:
        """Start anew after a gap in the prices; return the stops that can no longer be judged as they happen.

        Those that are missed or overdue are none of them: they wait, whatever the price does.
        """
        self.look_away()
        over = {one.order.order_id for one in (*self.missed, *self.overdue(now_s))}
        lost = tuple(touched.order for key, touched in self._touched.items() if key not in over)
        for order in lost:
            del self._touched[order.order_id]
            self._forgotten.add(order.order_id)
        return lost

    def _open(self, trade_id: str, instrument: str, units: Decimal | None) -> None:
        self._trade_instruments[trade_id] = instrument
        if units is not None:
            self._units[trade_id] = units

    def _add(self, record: Record) -> None:
        """A stop whose price moves has none, and is not judged."""
        if exact(record, "price") is None:
            return
        for order in orders_from([record], units_by_trade=self._units):
            instrument = order.instrument or self._trade_instruments.get(order.trade_id, "")
            if len(self._instrument_of) >= MOST_ORDERS:
                raise TooManyStopsError(f"More than {MOST_ORDERS} stops are live: they are left to the slots.")
            self._live.setdefault(instrument, {})[order.order_id] = replace(order, instrument=instrument)
            self._instrument_of[order.order_id] = instrument
            if self._away:
                self._unseen.add(order.order_id)

    def _end(self, order_id: str) -> StopOrder | None:
        self._touched.pop(order_id, None)
        self._unseen.discard(order_id)
        self._forgotten.discard(order_id)
        instrument = self._instrument_of.pop(order_id, None)
        return None if instrument is None else self._live[instrument].pop(order_id)

    def _executed(self, fill: Fill) -> tuple[Executed, ...]:
        touched = self._touched.get(fill.order_id)
        unseen = fill.order_id in self._unseen or fill.order_id in self._forgotten
        order = self._end(fill.order_id)
        if order is None or not fill.is_stop:
            return ()
        timed = not unseen and not order.unjudged and (touched or fill.quoted_at) is not None
        at = touched.at if touched else fill.quoted_at or fill.time
        price = fill.price_of(order.trade_id)
        slippage = None if price is None else (order.price - price) * (1 if order.is_long else -1)
        latency_ms = max(0.0, round((fill.time - at) / timedelta(milliseconds=1), 3))
        return (Executed(order, fill, at, latency_ms, slippage, timed),)
