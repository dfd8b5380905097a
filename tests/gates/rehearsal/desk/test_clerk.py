import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from psycopg.rows import dict_row

from gates.rehearsal.desk import orders
from gates.rehearsal.desk.booking import BookingStoppedError
from gates.rehearsal.desk.clerk import book
from gates.rehearsal.desk.database import Database
from gates.rehearsal.desk.replay import replay
from gates.rehearsal.desk.schema import create_schema

from .transactions import ACCOUNT, closing_fill, closing_part, funding, market_order, opening_fill

NOW = datetime(2026, 11, 22, 10, 1, tzinfo=UTC)
OPENED = (
    funding(),
    market_order(2, units="1000", client_id="ours"),
    opening_fill(3, order=2, units="1000", balance="100000.0000"),
)


def books(url, transactions):
    """Opens books with one intent, books the transactions; what book() answered to each."""

    async def run():
        database = Database(url)
        async with database.transaction() as connection:
            await create_schema(connection)
            await connection.execute(
                "INSERT INTO wartest.accounts VALUES (%s, 'USD', 0, 0, 0, 0, 0, %s) ON CONFLICT DO NOTHING",
                (ACCOUNT, NOW),
            )
            await connection.execute("INSERT INTO desk.cursors VALUES (%s, 0) ON CONFLICT DO NOTHING", (ACCOUNT,))
            intent = orders.Intent("ours", "EUR_USD", Decimal(1000))
            await orders.record_intent(connection, ACCOUNT, intent, now=NOW)
        answers = []
        try:
            for transaction in transactions:
                async with database.transaction() as connection:
                    answers.append(await book(connection, ACCOUNT, transaction, now=NOW))
        finally:
            await database.close()
        return answers

    return asyncio.run(run())


def rows(url, query):
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query).fetchall()


def test_an_opening_fill_finishes_the_intent_and_protects_the_position(desk_database_url):
    books(desk_database_url, OPENED)
    (order,) = rows(desk_database_url, "SELECT * FROM wartest.orders")
    (position,) = rows(desk_database_url, "SELECT * FROM wartest.positions")
    events = rows(desk_database_url, "SELECT * FROM wartest.position_events ORDER BY sequence")
    assert (order["status"], order["broker_order_id"], order["position_id"]) == (
        "filled",
        "2",
        position["position_id"],
    )
    assert (position["stop_loss"], position["take_profit"]) == (Decimal("1.0990"), Decimal("1.1010"))
    assert [event["event_type"] for event in events] == [
        "POSITION_CREATED",
        "ORDER_FILLED",
        "MARGIN_RESERVED",
    ]
    assert [event["sequence"] for event in events] == [1, 2, 3]


def test_a_transaction_is_booked_once(desk_database_url):
    assert books(desk_database_url, (*OPENED, *OPENED)) == [True, True, True, False, False, False]
    assert len(rows(desk_database_url, "SELECT * FROM wartest.executions")) == 1


def test_a_left_out_transaction_stops_the_booking(desk_database_url):
    with pytest.raises(BookingStoppedError, match="transaction 2 is missing"):
        books(desk_database_url, (OPENED[0], OPENED[2]))


def test_a_stop_closes_the_position_with_its_reason_and_money(desk_database_url):
    part = closing_part(3, units="-1000", pnl="-1.0000", financing="-0.0100")
    stop = closing_fill(
        4,
        order=77,
        parts=[part],
        balance="99998.9900",
        units="-1000",
        pl="-1",
        financing="-0.01",
        reason="STOP_LOSS_ORDER",
    )
    books(desk_database_url, (*OPENED, stop))
    (position,) = rows(desk_database_url, "SELECT * FROM wartest.positions")
    (stop_order,) = rows(desk_database_url, "SELECT * FROM wartest.orders WHERE order_type = 'STOP_LOSS'")
    money = rows(
        desk_database_url,
        "SELECT event_type, amount, balance_after FROM wartest.balance_events ORDER BY sequence",
    )
    assert (position["status"], position["close_reason"], position["units_open"]) == ("closed", "STOP_LOSS", 0)
    assert (stop_order["status"], stop_order["units"]) == ("filled", -1000)
    assert [tuple(row.values()) for row in money] == [
        ("DEPOSIT", Decimal(100000), Decimal(100000)),
        ("PNL_REALIZED", Decimal(-1), Decimal(99999)),
        ("FINANCING", Decimal("-0.01"), Decimal("99998.99")),
    ]


def test_the_state_can_be_rebuilt_after_a_partial_close(desk_database_url):
    half = closing_fill(
        4,
        order=77,
        parts=[],
        balance="99999.5",
        units="-400",
        pl="-0.5",
        tradeReduced=closing_part(3, units="-400", pnl="-0.5"),
    )
    books(desk_database_url, (*OPENED, half))
    (position,) = rows(desk_database_url, "SELECT * FROM wartest.positions")
    assert (position["units_open"], position["margin_used"]) == (600, Decimal("13.2"))

    async def again():
        database = Database(desk_database_url)
        try:
            return await replay(database, ACCOUNT)
        finally:
            await database.close()

    outcome = asyncio.run(again())
    assert outcome.differences == ()
    assert outcome.events == 7 + 2  # of positions and of the balance


def test_a_balance_that_differs_from_the_brokers_is_not_booked(desk_database_url):
    wrong = closing_fill(
        4, order=77, parts=[closing_part(3, units="-1000", pnl="-1")], balance="5", units="-1000", pl="-1"
    )
    with pytest.raises(BookingStoppedError, match="the books say"):
        books(desk_database_url, (*OPENED, wrong))
    (position,) = rows(desk_database_url, "SELECT * FROM wartest.positions")
    assert position["status"] == "open"


def test_closing_a_trade_nobody_opened_stops_the_booking(desk_database_url):
    wrong = closing_fill(
        4, order=77, parts=[closing_part(9, units="-1", pnl="-1")], balance="99999", units="-1", pl="-1"
    )
    with pytest.raises(BookingStoppedError, match="not open here"):
        books(desk_database_url, (*OPENED, wrong))
