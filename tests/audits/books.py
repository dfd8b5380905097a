"""A small, correct set of books for tests: ledger rows by relation, and the broker's own records of the same events."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from audits.contract import BY_NAME, RELATIONS, Kind, Relation

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ACCOUNT = "101-001-0000001-001"
SPREAD = Decimal("0.0002")

Row = dict[str, Any]


def at(seconds: float) -> datetime:
    """A moment, in seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def text_at(seconds: float) -> str:
    """A moment as OANDA writes it, with nanoseconds."""
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


@dataclass
class Books:
    """Ledger rows by relation, and the broker's transactions, trades and account; tests break them as they like."""

    ledger: dict[str, list[Row]]
    transactions: list[Row]
    account: Row
    reads: int = field(default=0)
    moment_type: "type[BooksMoment] | None" = None
    bids: dict[float, tuple[str, str]] = field(default_factory=dict)  # seconds → lowest and highest, where not flat

    def rows(self, relation: str) -> list[Row]:
        return self.ledger[relation]

    def describe(self) -> str:
        return "books of a test"

    @contextmanager
    def at_one_moment(self, relations: Sequence[Relation]) -> Iterator["BooksMoment"]:
        self.reads += 1
        yield (self.moment_type or BooksMoment)(deepcopy(self.ledger), at(60 + self.reads))


@dataclass
class BooksMoment:
    """One moment of the ledger rows."""

    ledger: dict[str, list[Row]]
    moment: datetime
    caveat: str = ""

    def count(self, relation: Relation) -> int:
        return len(self.ledger[relation.name])

    def last_number(self, relation: Relation, column: str, account_id: str | None) -> int | None:
        numbers = [
            int(row[column])
            for row in self.ledger[relation.name]
            if row.get(column) and account_id in (None, row["account_id"])
        ]
        return max(numbers, default=None)

    def rows(self, relation: Relation) -> Iterator[Sequence[tuple[Any, ...]]]:
        yield [tuple(row.get(column.name) for column in relation.columns) for row in self.ledger[relation.name]]


@dataclass
class BooksBroker:
    """The broker's side of the books, read as the OANDA reader reads it."""

    books: Books

    def describe(self) -> str:
        return f"books of a test, account {ACCOUNT}"

    def account(self) -> dict[str, Any]:
        return deepcopy(self.books.account)

    def transactions(self, since_id: int = 0) -> list[dict[str, Any]]:
        return [deepcopy(record) for record in self.books.transactions if int(record["id"]) > since_id]

    def time(self, instruments: Iterable[str]) -> datetime:
        return at(61)

    def candles(self, instrument: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        first, last = ((moment - NOON) // timedelta(seconds=1) for moment in (start, end))
        return [candle_at(second, *self.books.bids.get(second, ("1.1", "1.1"))) for second in range(first, last, 5)]


def candle_at(seconds: float, low: str, high: str) -> Row:
    """A candle as the broker tells it; the ask is 0.0002 above the bid."""
    bid, ask = {"l": low, "h": high}, {"l": str(Decimal(low) + SPREAD), "h": str(Decimal(high) + SPREAD)}
    return {"time": text_at(seconds), "bid": bid, "ask": ask, "complete": True}


def clean_books() -> Books:
    """One position closed at a profit of 12.5, one still open; six broker transactions that say the same."""
    books = Books({relation.name: [] for relation in RELATIONS}, _transactions(), _account())
    books.rows("accounts").append(
        {
            "account_id": ACCOUNT,
            "currency": "USD",
            "opening_balance": Decimal("100000.0000"),
            "balance": Decimal("100012.2500"),
            "equity": Decimal("100013.0000"),
            "margin_used": Decimal("11.0000"),
            "margin_available": Decimal("100002.0000"),
            "updated_at": at(50),
        }
    )
    _add_position(books, 1, trade_id="3", units=1000, is_open=False)
    _add_position(books, 2, trade_id="6", units=-500, is_open=True)
    for sequence, kind, amount, transaction in (
        (1, "PNL_REALIZED", Decimal("12.5"), "5"),
        (2, "FINANCING", Decimal("-0.25"), "8"),
    ):
        before = Decimal(100000) if sequence == 1 else Decimal("100012.5")
        books.rows("balance_events").append(
            {
                "event_id": f"b{sequence}",
                "account_id": ACCOUNT,
                "sequence": sequence,
                "event_type": kind,
                "balance_before": before,
                "amount": amount,
                "balance_after": before + amount,
                "position_id": "p1" if sequence == 1 else None,
                "execution_id": "x1c" if sequence == 1 else None,
                "broker_transaction_id": transaction,
                "occurred_at": at(20 * sequence),
                "recorded_at": at(20 * sequence),
            }
        )
    books.rows("reconciliations").append(
        {
            "reconciliation_id": "r1",
            "account_id": ACCOUNT,
            "started_at": at(50),
            "duration_ms": Decimal("12.5"),
            "positions_checked": 1,
            "mismatches": 0,
        }
    )
    return books


def _add_position(books: Books, number: int, *, trade_id: str, units: int, is_open: bool) -> None:
    position, opened_at = f"p{number}", at(30 if is_open else 10)
    books.rows("positions").append(
        {
            "position_id": position,
            "account_id": ACCOUNT,
            "broker_trade_id": trade_id,
            "instrument": "EUR_USD",
            "units": Decimal(units),
            "units_open": Decimal(units if is_open else 0),
            "entry_price": Decimal("1.10000"),
            "stop_loss": Decimal("1.2") if is_open else None,
            "margin_used": Decimal(11 if is_open else 0),
            "status": "open" if is_open else "closed",
            "realized_pnl": Decimal(0) if is_open else Decimal("12.5"),
            "close_reason": None if is_open else "MARKET",
            "opened_at": opened_at,
            "closed_at": None if is_open else at(20),
        }
    )
    _deal(books, number, "", units, trade_id)
    _events(books, number, OPENING)
    if not is_open:
        _deal(books, number, "c", -units, "5")
        _events(books, number, CLOSING)


OPENING = ("POSITION_CREATED", "ORDER_FILLED", "MARGIN_RESERVED")
CLOSING = ("ORDER_FILLED", "PNL_REALIZED", "MARGIN_RELEASED", "POSITION_CLOSED")


def _deal(books: Books, number: int, suffix: str, units: int, transaction: str) -> None:
    """An order and its one execution."""
    moment = at(20) if suffix else books.rows("positions")[-1]["opened_at"]
    shared = {"account_id": ACCOUNT, "position_id": f"p{number}", "instrument": "EUR_USD", "units": Decimal(units)}
    books.rows("orders").append(
        shared
        | {
            "order_id": f"o{number}{suffix}",
            "client_order_id": f"c{number}{suffix}",
            "broker_order_id": str(int(transaction) - 1),
            "order_type": "market",
            "status": "filled",
            "created_at": moment,
            "updated_at": moment,
        }
    )
    books.rows("executions").append(
        shared
        | {
            "execution_id": f"x{number}{suffix}",
            "order_id": f"o{number}{suffix}",
            "broker_transaction_id": transaction,
            "price": Decimal("1.1125") if suffix else Decimal("1.1"),
            "conversion_rate": Decimal(1),
            "realized_pnl": Decimal("12.5") if suffix else Decimal(0),
            "commission": Decimal(0),
            "executed_at": moment,
        }
    )


def _events(books: Books, number: int, kinds: tuple[str, ...]) -> None:
    """The events of one deal, with what the replay of a position needs in their payloads."""
    position, deal = books.rows("positions")[-1], books.rows("executions")[-1]
    moment = deal["executed_at"]
    payloads = {
        "POSITION_CREATED": {name: str(position[name]) for name in ("instrument", "units", "entry_price")},
        "ORDER_FILLED": {"execution_id": deal["execution_id"], "units": str(deal["units"])},
        "PNL_REALIZED": {"realized_pnl": str(deal["realized_pnl"])},
        "MARGIN_RESERVED": {"margin_used": "11" if position["status"] == "open" else "22"},
        "MARGIN_RELEASED": {"margin_used": "0"},
        "POSITION_CLOSED": {"close_reason": position["close_reason"]},
    }
    for kind in kinds:
        sequence = sum(row["position_id"] == f"p{number}" for row in books.rows("position_events")) + 1
        books.rows("position_events").append(
            {
                "event_id": f"e{number}" if sequence == 1 else f"e{number}.{sequence}",
                "position_id": f"p{number}",
                "sequence": sequence,
                "event_type": kind,
                "payload": json.dumps(payloads[kind]),
                "idempotency_key": f"p{number}/{sequence}",
                "occurred_at": moment,
                "recorded_at": moment,
            }
        )


def _transactions() -> list[Row]:
    return [
        {"id": "1", "type": "CREATE", "time": text_at(0)},
        {
            "id": "2",
            "type": "TRANSFER_FUNDS",
            "time": text_at(0),
            "amount": "100000.0000",
            "accountBalance": "100000.0000",
            "reason": "CLIENT_FUNDING",
        },
        _fill("3", 10, "1000", "100000.0000") | {"tradeOpened": {"tradeID": "3", "units": "1000", "price": "1.1"}},
        {"id": "4", "type": "MARKET_ORDER", "time": text_at(20)},
        _fill("5", 20, "-1000", "100012.5000")
        | {
            "pl": "12.5000",
            "tradesClosed": [{"tradeID": "3", "units": "-1000", "price": "1.1125", "realizedPL": "12.5000"}],
        },
        _fill("6", 30, "-500", "100012.5000") | {"tradeOpened": {"tradeID": "6", "units": "-500", "price": "1.1"}},
        {"id": "7", "type": "STOP_LOSS_ORDER", "time": text_at(30), "tradeID": "6", "price": "1.2"},
        {
            "id": "8",
            "type": "DAILY_FINANCING",
            "time": text_at(40),
            "financing": "-0.2500",
            "accountBalance": "100012.2500",
        },
    ]


def _fill(number: str, seconds: float, units: str, balance: str) -> Row:
    return {
        "id": number,
        "type": "ORDER_FILL",
        "time": text_at(seconds),
        "instrument": "EUR_USD",
        "units": units,
        "pl": "0.0000",
        "financing": "0.0000",
        "commission": "0.0000",
        "guaranteedExecutionFee": "0.0000",
        "accountBalance": balance,
        "reason": "MARKET_ORDER",
        "orderID": str(int(number) - 1),
    }


def _account() -> Row:
    return {
        "id": ACCOUNT,
        "currency": "USD",
        "balance": "100012.2500",
        "NAV": "100013.0000",
        "unrealizedPL": "0.7500",
        "marginUsed": "11.0000",
        "positionValue": "550.0000",
        "openTradeCount": 1,
        "lastTransactionID": "8",
        "orders": [],
        "trades": [
            {
                "id": "6",
                "instrument": "EUR_USD",
                "currentUnits": "-500",
                "initialUnits": "-500",
                "price": "1.1",
                "unrealizedPL": "0.75",
                "openTime": text_at(30),
            }
        ],
    }


SQL_TYPES = {
    Kind.TEXT: "text",
    Kind.EXACT: "numeric",
    Kind.COUNT: "bigint",
    Kind.MOMENT: "timestamptz",
    Kind.JSON: "jsonb",
}


def create_sql(schema: str = "wartest") -> str:
    """The contract's relations as tables in one schema."""
    tables = [
        f"CREATE TABLE {schema}.{name} ("
        + ", ".join(f"{column.name} {SQL_TYPES[column.kind]}" for column in BY_NAME[name].columns)
        + ")"
        for name in (relation.name for relation in RELATIONS)
    ]
    return f"CREATE SCHEMA {schema}; " + "; ".join(tables)
