"""What must hold between the desk's ledger and the broker, read from both."""

from collections import Counter
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from .processes import BrokerProcess


def rows(url: str, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def cursor_of(url: str) -> int:
    return int(rows(url, "SELECT last_transaction_id FROM desk.cursors")[0]["last_transaction_id"])


def assert_books_are_exact(url: str, broker: BrokerProcess) -> list[dict[str, Any]]:
    """Everything that must agree to the last digit; the broker's transactions up to the ledger's last."""
    cursor = cursor_of(url)
    pages = broker.get("/transactions/sinceid", id="0")["transactions"]
    transactions = [transaction for transaction in pages if int(transaction["id"]) <= cursor]
    _assert_balance(url, transactions)
    _assert_each_fill_booked_once(url, transactions)
    _assert_numbers_are_gapless(url)
    _assert_positions_follow_executions(url)
    return transactions


def _assert_balance(url: str, transactions: list[dict[str, Any]]) -> None:
    (account,) = rows(url, "SELECT * FROM wartest.accounts")
    events = rows(url, "SELECT * FROM wartest.balance_events ORDER BY sequence")
    balances = [Decimal(t["accountBalance"]) for t in transactions if "accountBalance" in t]
    assert account["balance"] == balances[-1] == events[-1]["balance_after"]
    assert account["opening_balance"] + sum(event["amount"] for event in events) == account["balance"]
    before = account["opening_balance"]
    for event in events:
        assert event["balance_before"] == before
        before = event["balance_after"]
    moved = Counter[str]()
    for event in events:
        moved[event["broker_transaction_id"]] += event["amount"]
    previous = Decimal(0)
    for transaction in transactions:
        if "accountBalance" in transaction:
            now = Decimal(transaction["accountBalance"])
            assert moved[transaction["id"]] == now - previous
            previous = now


def _assert_each_fill_booked_once(url: str, transactions: list[dict[str, Any]]) -> None:
    expected = Counter[tuple[str, str]]()
    for fill in transactions:
        if fill["type"] == "ORDER_FILL":
            parts = [*fill.get("tradesClosed", []), fill.get("tradeOpened"), fill.get("tradeReduced")]
            expected.update((fill["id"], part["tradeID"]) for part in parts if part)
    booked = Counter(
        (row["broker_transaction_id"], row["broker_trade_id"])
        for row in rows(
            url,
            "SELECT broker_transaction_id, broker_trade_id FROM wartest.executions "
            "JOIN wartest.positions USING (position_id)",
        )
    )
    assert booked == expected


def _assert_numbers_are_gapless(url: str) -> None:
    for relation, owner in (("position_events", "position_id"), ("balance_events", "account_id")):
        query = f"SELECT {owner}, max(sequence) AS last, count(*) AS n FROM wartest.{relation} GROUP BY {owner}"
        assert all(row["last"] == row["n"] for row in rows(url, query))


def _assert_positions_follow_executions(url: str) -> None:
    positions = rows(
        url,
        """SELECT position.*, (SELECT sum(units) FROM wartest.executions e WHERE e.position_id = position.position_id)
               AS left_open, array(SELECT event_type FROM wartest.position_events e
               WHERE e.position_id = position.position_id ORDER BY sequence) AS events
           FROM wartest.positions AS position""",
    )
    for position in positions:
        assert position["left_open"] == position["units_open"]
        required = {"POSITION_CREATED", "ORDER_FILLED", "MARGIN_RESERVED"}
        if position["status"] == "closed":
            required |= {"MARGIN_RELEASED", "PNL_REALIZED", "POSITION_CLOSED"}
            assert position["events"][-1] == "POSITION_CLOSED"
        assert required <= set(position["events"])
