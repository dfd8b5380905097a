"""The prices that stops lived through, asked of a broker who tells them: GET only, newest first, within limits.

What lies beyond the limits, or what the broker refused, is left out by name: a stop of that time is not judged by
prices, and check 15 says so.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from audits.broker_books import BrokerBooks, Row
from audits.sources import Broker, BrokerError, TellsPrices
from audits.stop_records import Candle, StopOrder, candles_from, floor_to_candle, orders_from
from audits.transactions import Record, TransactionUnreadable

CANDLE = timedelta(seconds=5)
PIECE = 4999 * CANDLE  # what one request returns at most, one candle less
NEAR = timedelta(hours=1)  # two times of one instrument that lie nearer are asked for as one
MOST_REQUESTS = 200  # a month of two instruments, or three days of eighteen
LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Span:
    """The candles of one instrument that start within [since, until); `left_out` says why they were not read."""

    account_id: str
    instrument: str
    since: datetime
    until: datetime
    left_out: str | None = None


class PriceReading:
    """One reading of prices: `candle_rows` asks, piece by piece, and `span_rows` then tells what was read.

    `opened` is when, on the monotonic clock, the reading of the books began: what the brokers know of later is left
    to the next snapshot, since the books do not hold what became of it.
    """

    def __init__(
        self,
        brokers: Sequence[Broker],
        books: Sequence[BrokerBooks],
        opened: float,
        *,
        most_requests: int = MOST_REQUESTS,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._opened = opened
        self._requests_left = most_requests
        self._most_requests = most_requests
        self._limit_s = limit_s
        self._spans: list[Span] = []
        pairs = zip(brokers, books, strict=False)
        self._told = [(broker, each) for broker, each in pairs if isinstance(broker, TellsPrices) and _has_stops(each)]

    @property
    def wanted(self) -> bool:
        """Whether any stop was ever live with a broker who tells prices."""
        return bool(self._told)

    def candle_rows(self) -> Iterator[list[Row]]:
        """Yield the rows of `broker_candles`, a request's at a time; what cannot be read is left out, never raised."""
        ends = time.monotonic() + self._limit_s
        for broker, books in self._told:
            troubles: dict[str, str] = {}
            for wanted in self._pieces(broker, books):
                why = troubles.get(wanted.instrument) or self._beyond(ends)
                candles: tuple[Candle, ...] = ()
                if not why:
                    try:
                        candles = self._asked(broker, wanted)
                    except (BrokerError, TransactionUnreadable) as error:
                        why = troubles[wanted.instrument] = str(error)
                self._spans.append(_left_out(wanted, why) if why else wanted)
                if candles:
                    yield [_row(wanted, candle) for candle in candles]

    def span_rows(self) -> list[Row]:
        """Return the rows of `price_spans`; pieces that follow each other, read or left out alike, are one."""
        return [
            (f"{number}", each.account_id, each.instrument, each.since, each.until, each.left_out)
            for number, each in enumerate(_joined(self._spans), start=1)
        ]

    def _beyond(self, ends: float) -> str:
        if not self._requests_left:
            return f"more than {self._most_requests} requests"
        return f"more than {self._limit_s:g} s of reading" if time.monotonic() > ends else ""

    def _asked(self, broker: TellsPrices, wanted: Span) -> tuple[Candle, ...]:
        self._requests_left -= 1
        return candles_from(broker.candles(wanted.instrument, wanted.since, wanted.until))

    def _pieces(self, broker: TellsPrices, books: BrokerBooks) -> list[Span]:
        """Cut what is needed into requests, newest first; a broker whose clock cannot be read tells nothing."""
        try:
            orders = orders_from(books.transactions)
            known_until = self._known_until(broker, sorted({order.instrument for order in orders if order.instrument}))
        except (BrokerError, TransactionUnreadable) as error:
            epoch = datetime(1970, 1, 1, tzinfo=UTC)
            self._spans.append(Span(books.account_id, "", epoch, epoch, str(error)))
            return []
        pieces = [piece for span in needed_spans(books.account_id, orders, known_until) for piece in _cut(span)]
        return sorted(pieces, key=lambda piece: piece.until, reverse=True)

    def _known_until(self, broker: TellsPrices, instruments: Iterable[str]) -> datetime:
        """Until when, by the broker's clock, the books tell what became of a touch."""
        return broker.time(instruments) - timedelta(seconds=time.monotonic() - self._opened)


def needed_spans(account_id: str, orders: Iterable[StopOrder], known_until: datetime) -> list[Span]:
    """Return when prices are needed: while a stop of the instrument was live for a candle at least. Pure."""
    spans: list[Span] = []
    for order in sorted(orders, key=lambda order: (order.instrument, order.created_at)):
        end = min(order.ended_at or known_until, known_until)
        if order.unjudged or not order.instrument or end - order.created_at < CANDLE:
            continue
        since, last = floor_to_candle(order.created_at, CANDLE), spans[-1] if spans else None
        if last and last.instrument == order.instrument and since <= last.until + NEAR:
            spans[-1] = Span(account_id, order.instrument, last.since, max(last.until, end))
        else:
            spans.append(Span(account_id, order.instrument, since, end))
    return spans


def _has_stops(books: BrokerBooks) -> bool:
    return any("STOP_LOSS" in _type(record) or "TAKE_PROFIT" in _type(record) for record in books.transactions)


def _type(record: Record) -> str:
    return str(record.get("type"))


def _cut(span: Span) -> Iterator[Span]:
    """Cut a span into pieces of one request, from its end on, so that what is read of it lies together."""
    until = span.until
    while until > span.since:
        since = max(span.since, until - PIECE)
        yield Span(span.account_id, span.instrument, since, until)
        until = since


def _left_out(span: Span, why: str) -> Span:
    return Span(span.account_id, span.instrument, span.since, span.until, why)


def _row(span: Span, candle: Candle) -> Row:
    return (
        f"{span.account_id} {span.instrument} {candle.start.isoformat()}",
        span.account_id,
        span.instrument,
        candle.start,
        candle.bid_low,
        candle.bid_high,
        candle.ask_low,
        candle.ask_high,
    )


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.account_id, span.instrument, span.since)):
        last = joined[-1] if joined else None
        if last and (last.account_id, last.instrument, last.until, last.left_out) == (
            span.account_id,
            span.instrument,
            span.since,
            span.left_out,
        ):
            joined[-1] = Span(span.account_id, span.instrument, last.since, span.until, span.left_out)
        else:
            joined.append(span)
    return joined
