"""Stop orders, fills and candles, read from the broker's own records. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from audits.transactions import FILL, Record, TransactionUnreadable, exact, moment_of, required

STOP_LOSS = "STOP_LOSS_ORDER"
TAKE_PROFIT = "TAKE_PROFIT_ORDER"
STOP_KINDS = frozenset({STOP_LOSS, TAKE_PROFIT})

NO_SIDE = "the transactions do not show whether its trade is long or short"
NO_MID = "its trigger is the mid price, which is not read"
UNJUDGED = frozenset({NO_SIDE})

_WORDS = {STOP_LOSS: "stop loss", TAKE_PROFIT: "take profit"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candle:
    """Bid and ask extremes of the time from `start` on."""

    start: datetime
    bid_low: Decimal
    bid_high: Decimal
    ask_low: Decimal
    ask_high: Decimal


@dataclass(frozen=True, slots=True)
class StopOrder:
    """A stop loss or take profit of one trade, and how long it lived: [created_at, ended_at). Still live: None.

    `unjudged` says why its touch cannot be told from candles; such an order makes a window inconclusive.
    """

    order_id: str
    kind: str
    trade_id: str
    instrument: str
    is_long: bool
    price: Decimal
    created_at: datetime
    ended_at: datetime | None = None
    uses_bid: bool = True
    unjudged: str = ""

    @property
    def words(self) -> str:
        """What it is, in words."""
        return _WORDS[self.kind]

    @property
    def _from_above(self) -> bool:
        """A price falls to the stop of a long trade and to the profit of a short one."""
        return self.is_long == (self.kind == STOP_LOSS)

    def reaching_price(self, candle: Candle) -> Decimal:
        """Return the candle's price that comes furthest towards, or through, the order's price."""
        if self._from_above:
            return candle.bid_low if self.uses_bid else candle.ask_low
        return candle.bid_high if self.uses_bid else candle.ask_high

    def is_reached_by(self, price: Decimal) -> bool:
        """Whether this price triggers the order."""
        return price <= self.price if self._from_above else price >= self.price

    def is_passed_by(self, price: Decimal) -> bool:
        """Whether this price lies beyond the order's."""
        return self.is_reached_by(price) and price != self.price


@dataclass(frozen=True, slots=True)
class Fill:
    """One ORDER_FILL: the order that it executed, why, when, the price of each trade it closed or reduced, and the
    quote that it was made at."""

    fill_id: str
    order_id: str
    reason: str
    time: datetime
    instrument: str
    closed: Mapping[str, Decimal | None] = field(default_factory=dict)
    quoted_at: datetime | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None

    @property
    def is_stop(self) -> bool:
        """Whether a stop loss or take profit was executed."""
        return self.reason in STOP_KINDS

    def price_of(self, trade_id: str) -> Decimal | None:
        """Return the price at which this fill closed or reduced the trade."""
        return self.closed.get(trade_id)


def fills_from(transactions: Iterable[Record]) -> tuple[Fill, ...]:
    """Return every ORDER_FILL; raises TransactionUnreadable for one that lacks what the interface promises."""
    return tuple(_fill(record) for record in transactions if record.get("type") == FILL)


def orders_from(
    transactions: Iterable[Record], *, units_by_trade: Mapping[str, Decimal] | None = None
) -> tuple[StopOrder, ...]:
    """Return every stop loss and take profit with its life.

    Which side a trade is on comes from the fill that opened it; `units_by_trade` tells it for trades opened before the
    first transaction given. An order without a price, or of a kind whose price moves, is no stop at a fixed price and
    is left out.
    """
    records = tuple(transactions)
    units = dict(units_by_trade or {}) | _opened_units(records)
    instruments = _instruments(records)
    ends = {
        str(record.get("orderID")): moment_of(required(record, "time"))
        for record in records
        if record.get("type") in (FILL, "ORDER_CANCEL")
    }
    orders = []
    for record in records:
        if record.get("type") in STOP_KINDS:
            trade_id = required(record, "tradeID")
            ended_at = ends.get(required(record, "id"))
            instrument = str(record.get("instrument") or instruments.get(trade_id, ""))
            orders.append(_order(record, instrument, units.get(trade_id), ended_at))
    return tuple(orders)


def candles_from(answers: Iterable[Record]) -> tuple[Candle, ...]:
    """Return the broker's bid and ask candles; raises TransactionUnreadable where one lacks a price."""
    return tuple(
        Candle(
            start=moment_of(required(answer, "time")),
            bid_low=_price(answer, "bid", "l"),
            bid_high=_price(answer, "bid", "h"),
            ask_low=_price(answer, "ask", "l"),
            ask_high=_price(answer, "ask", "h"),
        )
        for answer in answers
    )


def floor_to_candle(moment: datetime, length: timedelta) -> datetime:
    """Return the start of the candle that holds this moment; candles are aligned to the epoch."""
    return moment - (moment - _EPOCH) % length


def _order(record: Record, instrument: str, units: Decimal | None, ended_at: datetime | None) -> StopOrder:
    price = exact(record, "price")
    if price is None:
        raise TransactionUnreadable(f"The stop order {record.get('id')} has no price.")
    is_long = units is None or units > 0
    condition = str(record.get("triggerCondition") or "DEFAULT")
    uses_bid = {"BID": True, "ASK": False, "INVERSE": not is_long}.get(condition, is_long)
    return StopOrder(
        order_id=required(record, "id"),
        kind=required(record, "type"),
        trade_id=required(record, "tradeID"),
        instrument=instrument,
        is_long=is_long,
        price=price,
        created_at=moment_of(required(record, "time")),
        ended_at=ended_at,
        uses_bid=uses_bid,
        unjudged=NO_SIDE if units is None else NO_MID if condition == "MID" else "",
    )


def _fill(record: Record) -> Fill:
    closed: dict[str, Decimal | None] = {}
    for part in (*(record.get("tradesClosed") or ()), *filter(None, [record.get("tradeReduced")])):
        closed[required(part, "tradeID")] = exact(part, "price") or exact(record, "price")
    quote = record.get("fullPrice") or {}
    quoted_at = quote.get("timestamp") or quote.get("time")
    return Fill(
        fill_id=required(record, "id"),
        order_id=str(record.get("orderID") or ""),
        reason=required(record, "reason"),
        time=moment_of(required(record, "time")),
        instrument=str(record.get("instrument") or ""),
        closed=closed,
        quoted_at=moment_of(str(quoted_at)) if quoted_at else None,
        bid=_best(quote, "bids", max),
        ask=_best(quote, "asks", min),
    )


def _best(quote: Record, side: str, best: Callable[[Iterable[Decimal]], Decimal]) -> Decimal | None:
    prices = [price for level in quote.get(side) or () if (price := exact(level, "price")) is not None]
    return best(prices) if prices else None


def _opened_units(records: Iterable[Record]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for record in records:
        opened = record.get("tradeOpened") if record.get("type") == FILL else None
        if opened and (units := exact(opened, "units")) is not None:
            found[required(opened, "tradeID")] = units
    return found


def _instruments(records: Iterable[Record]) -> dict[str, str]:
    return {
        str(record["tradeOpened"]["tradeID"]): str(record.get("instrument") or "")
        for record in records
        if record.get("type") == FILL and record.get("tradeOpened")
    }


def _price(candle: Record, side: str, extreme: str) -> Decimal:
    price = exact(candle.get(side) or {}, extreme)
    if price is None:
        raise TransactionUnreadable(f"The candle of {candle.get('time')} has no {side} {extreme}.")
    return price
