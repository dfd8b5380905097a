"""One hash for one durable state: blind to random ids and times, and to nothing else that the target keeps."""

import asyncio
import uuid

import psycopg
import pytest

from gates.chaos.cells.states import durable_digest

TABLES = """CREATE SCHEMA books; CREATE SCHEMA own;
    CREATE TABLE books.orders (order_id text, status text, note text, created_at timestamptz DEFAULT clock_timestamp());
    CREATE TABLE books.reconciliations (took_ms integer);
    CREATE TABLE own.cursors (last_transaction_id bigint);
    INSERT INTO own.cursors VALUES (7)"""
FILL = {"id": "8", "type": "ORDER_FILL", "units": "1000", "time": "2026-11-26T06:00:00.1Z"}


@pytest.fixture
def digest_after(postgres_server):
    """Make a database with one order in it, change it by these statements, and tell its digest."""

    async def run(statements, broker, account):
        url = postgres_server.create_database(f"states_{uuid.uuid4().hex[:12]}")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(TABLES)
            note = f"sent as {uuid.uuid4()} by {account}"
            await connection.execute("INSERT INTO books.orders VALUES (%s, 'pending', %s)", (uuid.uuid4().hex, note))
            for statement in statements:
                await connection.execute(statement)
            return await durable_digest(connection, broker, account)

    return lambda *statements, broker=(FILL,), account="101-1": asyncio.run(run(statements, broker, account))


def test_two_runs_that_differ_in_account_random_ids_and_times_are_in_one_state(digest_after):
    assert digest_after() == digest_after(broker=[FILL | {"time": "2026-11-26T07:00:00.2Z"}])
    assert digest_after() == digest_after(account="101-2")
    assert digest_after() == digest_after("INSERT INTO books.reconciliations VALUES (12)")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE books.orders SET status = 'filled'",
        "UPDATE own.cursors SET last_transaction_id = 8",
        "INSERT INTO books.orders SELECT * FROM books.orders",
        "CREATE TABLE own.marks (done boolean)",
    ],
)
def test_whatever_else_the_target_keeps_tells_states_apart(digest_after, statement):
    assert digest_after(statement) != digest_after()


def test_what_the_broker_has_done_tells_states_apart(digest_after):
    assert digest_after(broker=()) != digest_after()


def test_what_waits_at_the_broker_tells_states_apart_without_ids_and_times(digest_after):
    def left(over, first="6"):
        trade = FILL | {"instrument": "EUR_USD", "tradeOpened": {"tradeID": "8", "units": "1000"}}
        stop = {"id": first, "type": "STOP_LOSS_ORDER", "tradeID": "8", "time": "2026-11-26T06:00:00.2Z"}
        target = stop | {"id": "10", "type": "TAKE_PROFIT_ORDER"}
        cancel = {"id": "11", "type": "ORDER_CANCEL", "orderID": over, "reason": "CLIENT_REQUEST"}
        return digest_after(broker=(trade, stop, target, cancel))

    assert left("6") != left("10")
    assert left("6") == left("7", first="7")
