"""Touches in a sealed snapshot: those that gate 1's rule finds stop by stop, and what is not covered, by name."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.around import rows_around
from audits.broker_books import BrokerBooks
from audits.broker_prices import CANDLE, PIECE, PriceReading, needed_spans
from audits.checks import CHECKS
from audits.contract import Relation
from audits.judge import CheckResult, judge
from audits.snapshot import Snapshot, load_snapshot, take_snapshot
from audits.sources.oanda import BrokerUnreachable
from audits.stop_records import candles_from, fills_from, orders_from
from audits.tables import judged_tables
from audits.touches import Market, by_trade, find_touch
from audits.verdicts import Verdict
from tests.audits.books import NOON, BooksBroker, Row, at, candle_at, clean_books, text_at

STOPS = [check for check in CHECKS if check.name == "stops"]
LATER = at(600)
PRICES = ["1.0998", "1.0999", "1.1000", "1.1001", "1.1002", "1.1003"]


def a_trade(number: int, units: str) -> Row:
    opened = {"tradeID": str(number), "units": units, "price": "1.1"}
    return {"id": str(number), "type": "ORDER_FILL", "time": text_at(0), "instrument": "EUR_USD", "tradeOpened": opened}


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Trades of both sides with stops of all kinds, some cancelled and some executed, and the candles of a minute."""
    records: list[Row] = []
    for _ in range(draw(st.integers(1, 5))):
        trade = len(records) + 1
        records.append(a_trade(trade, draw(st.sampled_from(["100", "-100"]))))
        placed, lived = draw(st.integers(0, 30)), draw(st.integers(5, 25))
        kind, how = draw(st.sampled_from(["STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER"])), draw(st.integers(0, 2))
        stop = {"id": str(trade + 1), "type": kind, "tradeID": str(trade), "price": draw(st.sampled_from(PRICES))}
        stop["triggerCondition"] = draw(st.sampled_from(["DEFAULT", "INVERSE", "BID", "ASK"]))
        records.append(stop | {"time": text_at(placed)})
        if how:
            end = {"id": str(trade + 2), "orderID": stop["id"], "time": text_at(placed + lived + 0.25)}
            closed = [{"tradeID": str(trade), "units": "0", "price": stop["price"]}]
            records.append(
                end | {"type": "ORDER_CANCEL"}
                if how == 1
                else end | {"type": "ORDER_FILL", "reason": kind, "tradesClosed": closed, "instrument": "EUR_USD"}
            )
    seconds = draw(st.lists(st.integers(0, 11).map(lambda number: 5 * number), unique=True, min_size=1))
    ends = st.lists(st.sampled_from(PRICES), min_size=2, max_size=2).map(sorted)
    return records, [candle_at(second, *draw(ends)) for second in sorted(seconds)]


@dataclass
class Telling(BooksBroker):
    """A broker with candles of its own; `refuses` is what it says instead."""

    told: Sequence[Row] = ()
    now: datetime = LATER
    refuses: str = ""
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    def time(self, instruments: Any) -> datetime:
        return self.now

    def candles(self, instrument: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        self.asked.append((start, end))
        if self.refuses:
            raise BrokerUnreachable(self.refuses)
        return [each for each in self.told if start <= candles_from([each])[0].start < end]


def sealed(records: list[Row], broker: Telling, folder: Path) -> Snapshot:
    """A ledger that has booked everything up to the last transaction, so that it is tied."""
    books = clean_books()
    books.transactions, books.account["lastTransactionID"] = records, str(len(records))
    books.rows("balance_events")[0]["broker_transaction_id"] = str(len(records))
    broker.books = books
    return take_snapshot(books, broker, folder, tie_limit_s=0, with_prices=True)


def touches_in(snapshot: Snapshot) -> dict[str, tuple[datetime, Decimal | None]]:
    with judged_tables(snapshot) as tables:
        tables.make(["touches"])
        rows = tables.database.execute(
            "SELECT order_id, epoch_us(touched_at), touching_price, executed_at FROM touches WHERE touched_at NOTNULL"
        ).fetchall()
    zero = NOON.fromtimestamp(0, NOON.tzinfo)
    return {row[0]: (zero + timedelta(microseconds=row[1]), None if row[3] else row[2]) for row in rows}


@settings(max_examples=20, deadline=None)
@given(lives())
def test_the_sealed_prices_show_the_touches_that_the_rule_of_gate_1_finds(life: tuple[list[Row], list[Row]]) -> None:
    records, candles = life
    fills = fills_from(records_with_reasons(records))
    market = Market(
        {"EUR_USD": candles_from(candles)},
        {fill.order_id: fill for fill in fills},
        by_trade(fills),
        candle=CANDLE,
        limit=timedelta(seconds=5),
    )
    found = {order.order_id: find_touch(order, market) for order in orders_from(records)}
    expected = {
        number: (touch.touched_at, None if touch.executed_at else touch.touching_price)
        for number, touch in found.items()
        if touch
    }
    with tempfile.TemporaryDirectory() as folder:
        assert touches_in(sealed(records, Telling(clean_books(), candles), Path(folder) / "one")) == expected


def records_with_reasons(records: list[Row]) -> list[Row]:
    return [{"reason": "MARKET_ORDER", "orderID": "0"} | record for record in records]


def stops_of(snapshot: Snapshot) -> CheckResult:
    return judge(snapshot.directory, STOPS).results[0]


def test_a_touch_left_lying_is_found_from_the_files_alone(tmp_path: Path) -> None:
    books = clean_books()
    books.bids[40] = ("1.1", "1.1999")
    snapshot = take_snapshot(books, BooksBroker(books), tmp_path / "one", tie_limit_s=0, with_prices=True)
    (tmp_path / "one").rename(tmp_path / "elsewhere")
    result = judge(tmp_path / "elsewhere", STOPS, manifest_sha256=snapshot.manifest_sha256).results[0]
    assert [finding.sentence for finding in result.findings] == [
        "The stop loss at 1.2 of trade 6, order 7, was touched by 1.2001 at 2026-11-22 12:00:40 UTC, but not executed."
    ]
    around = rows_around(load_snapshot(tmp_path / "elsewhere"), result.findings[0].where)
    candles = next(each for each in around if each.relation == "broker_candles")
    assert [row[3] for row in candles.rows] == [f"2026-11-22 12:00:{seconds}.000000" for seconds in range(30, 60, 5)]
    assert candles.named == {2}
    placed = next(each for each in around if each.relation == "broker_transactions")
    assert {placed.rows[number][:4:3] for number in placed.named} == {("6", "ORDER_FILL"), ("7", "STOP_LOSS_ORDER")}


def test_what_the_market_did_before_a_stop_was_placed_or_too_late_to_be_judged_is_no_finding(tmp_path: Path) -> None:
    books = clean_books()
    books.bids |= {25: ("1.3", "1.3"), 55: ("1.3", "1.3")}
    broker = Telling(books, [candle_at(second, *books.bids.get(second, ("1.1", "1.1"))) for second in range(20, 60, 5)])
    broker.now = at(64)
    result = stops_of(take_snapshot(books, broker, tmp_path / "one", tie_limit_s=0, with_prices=True))
    assert (result.verdict, result.findings) == (Verdict.PASSED, ())
    assert any("1 stop was touched just before the snapshot" in note for note in result.notes)
    assert any("looked at in 6 candles of the broker" in note for note in result.notes)


def test_prices_are_asked_only_when_the_ledgers_moment_is_closed(tmp_path: Path) -> None:
    books, held = clean_books(), []
    broker = Telling(books)

    @dataclass
    class Watched:
        def describe(self) -> str:
            return "watched"

        @contextmanager
        def at_one_moment(self, relations: Sequence[Relation]) -> Iterator[Any]:
            with books.at_one_moment(relations) as moment:
                yield moment
                held.append(len(broker.asked))

    take_snapshot(Watched(), broker, tmp_path / "one", tie_limit_s=0, with_prices=True)
    assert (held, len(broker.asked)) == ([0], 1)


def test_a_broker_that_refuses_prices_is_named_and_its_stops_are_not_passed(tmp_path: Path) -> None:
    books = clean_books()
    broker = Telling(books, refuses="No candles today.")
    result = stops_of(take_snapshot(books, broker, tmp_path / "one", with_prices=True))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "of 1 stop none could be looked at" in result.reason
    assert any("1 stop was not looked at" in note and "not read" in note for note in result.notes)
    assert any("EUR_USD" in note and note.endswith("No candles today.") for note in result.notes)


def test_a_silent_market_proves_nothing_and_says_so(tmp_path: Path) -> None:
    books = clean_books()
    result = stops_of(take_snapshot(books, Telling(books), tmp_path / "one", with_prices=True))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any(note.endswith("the broker has no price of its time") for note in result.notes)


def test_a_broker_without_prices_leaves_the_snapshot_as_it_was(tmp_path: Path) -> None:
    books = clean_books()

    class Silent:
        describe, account = BooksBroker(books).describe, BooksBroker(books).account
        transactions = BooksBroker(books).transactions

    snapshot = take_snapshot(books, Silent(), tmp_path / "one", tie_limit_s=0, with_prices=True)
    assert {"broker_candles", "price_spans"}.isdisjoint(snapshot.relations)
    assert any("no prices are in the snapshot" in note for note in stops_of(snapshot).notes)


@pytest.mark.parametrize("limit", [{"most_requests": 2}, {"limit_s": -1.0}])
def test_beyond_a_limit_the_newest_prices_are_kept_and_the_rest_is_named(limit: dict[str, Any]) -> None:
    books = clean_books()
    broker = Telling(books, now=at(40) + 3 * PIECE)
    reading = PriceReading([broker], [BrokerBooks(books.account, tuple(books.transactions))], time.monotonic(), **limit)
    list(reading.candle_rows())
    spans = [(row[3], row[4], row[5]) for row in reading.span_rows()]
    assert len(broker.asked) == limit.get("most_requests", 0)
    assert spans[0][0] == at(30)
    assert spans[0][2] in {"more than 2 requests", "more than -1 s of reading"}
    assert [each[2] for each in spans[1:]] == [None] * bool(broker.asked)
    assert all(until > since for since, until, _ in spans)


@given(st.lists(st.tuples(st.integers(0, 90_000), st.integers(0, 9_000)), min_size=1, max_size=12))
def test_each_stop_that_lived_for_a_candle_lies_whole_in_one_span(drawn: list[tuple[int, int]]) -> None:
    records: list[Row] = [a_trade(1, "100")]
    for number, (placed, lived) in enumerate(drawn, start=2):
        stop = {"type": "STOP_LOSS_ORDER", "tradeID": "1", "price": "1", "time": text_at(placed)}
        records.append(stop | {"id": str(number)})
        end = {"id": str(1000 + number), "type": "ORDER_CANCEL", "orderID": str(number)}
        records.append(end | {"time": text_at(placed + lived)})
    spans = needed_spans("a", orders_from(records), at(100_000))
    for placed, lived in drawn:
        inside = [span for span in spans if span.since <= at(placed) and at(placed + lived) <= span.until]
        assert len(inside) == 1 or lived < 5
    assert all(before.until < after.since for before, after in pairwise(spans))
