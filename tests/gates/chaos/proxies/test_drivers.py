"""Drivers work unchanged through the proxy on the ledger's wire, and their messages get the same names."""

import asyncio
from collections.abc import Callable

import asyncpg
import psycopg
import psycopg2
import pytest

from gates.chaos.messages import Direction
from gates.chaos.proxies.events import Refused
from tests.gates.chaos.conftest import Ledger

INSERT = "INSERT INTO executions (name, amount) VALUES (?)"
UPDATE = "UPDATE orders SET state = ? WHERE id = ?"
LOOKUP = "SELECT state FROM orders WHERE id = ?"
TRADE = ["BEGIN", LOOKUP, INSERT, UPDATE, INSERT, "COMMIT"]


def psycopg_trade(url: str) -> None:
    with psycopg.connect(url) as connection:
        trade(connection)


def psycopg_prepared_trade(url: str) -> None:
    with psycopg.connect(url, prepare_threshold=0) as connection:
        trade(connection)


def trade(connection: psycopg.Connection) -> None:
    assert connection.execute("SELECT state FROM orders WHERE id = %s", (1,)).fetchone() == ("new",)
    connection.execute("INSERT INTO executions (name, amount) VALUES (%s, %s)", ("open", 1.5))
    connection.execute("UPDATE orders SET state = %s WHERE id = %s", ("filled", 1))
    connection.execute("INSERT INTO executions (name, amount) VALUES (%s, %s)", ("close", -1.5))


def psycopg2_trade(url: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT state FROM orders WHERE id = %s", (1,))
        assert cursor.fetchone() == ("new",)
        cursor.execute("INSERT INTO executions (name, amount) VALUES (%s, %s)", ("open", 1.5))
        cursor.execute("UPDATE orders SET state = %s WHERE id = %s", ("filled", 1))
        cursor.execute("INSERT INTO executions (name, amount) VALUES (%s, %s)", ("close", -1.5))
    connection.close()


def asyncpg_trade(url: str) -> None:
    async def trade_async() -> None:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            assert await connection.fetchval("SELECT state FROM orders WHERE id = $1", 1) == "new"
            await connection.execute("INSERT INTO executions (name, amount) VALUES ($1, $2)", "open", 1.5)
            await connection.execute("UPDATE orders SET state = $1 WHERE id = $2", "filled", 1)
            await connection.execute("INSERT INTO executions (name, amount) VALUES ($1, $2)", "close", -1.5)
        await connection.close()

    asyncio.run(trade_async())


DRIVERS = [psycopg_trade, psycopg_prepared_trade, psycopg2_trade, asyncpg_trade]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_trades_through_the_proxy_and_its_messages_have_the_names_of_every_other(
    ledger: Ledger, driver: Callable[[str], None]
):
    driver(ledger.url)
    assert ledger.executions() == ["open", "close"]
    names = [message.fingerprint for message in ledger.owner.recording() if message.direction is Direction.REQUEST]
    assert [name for name in names if not name.startswith("PREPARE")] == ["CONNECT", *TRADE]


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_request_has_its_answer_and_a_second_run_has_the_same_points(
    ledger: Ledger, driver: Callable[[str], None]
):
    runs = []
    for _ in range(2):
        ledger.owner.reset()
        with psycopg.connect(ledger.direct, autocommit=True) as connection:
            connection.execute("UPDATE orders SET state = 'new'")
        driver(ledger.url)
        recording = ledger.owner.recording()
        runs.append([str(message.point) for message in recording])
        requests = [m.point for m in recording if m.direction is Direction.REQUEST]
        answers = [m.point for m in recording if m.direction is Direction.ANSWER]
        assert [(p.fingerprint, p.occurrence) for p in requests] == [(p.fingerprint, p.occurrence) for p in answers]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == len(runs[0])


def test_labels_say_in_words_what_was_said(ledger: Ledger):
    psycopg_trade(ledger.url)
    assert ledger.owner.labels(Direction.REQUEST)[-2:] == ["ledger: INSERT INTO executions", "ledger: COMMIT"]
    assert ledger.owner.labels(Direction.ANSWER)[-1] == "ledger: COMMIT acknowledged"


def test_an_error_of_the_server_is_told_with_its_sqlstate(ledger: Ledger):
    with pytest.raises(psycopg.errors.UndefinedTable), psycopg.connect(ledger.url) as connection:
        connection.execute("SELECT * FROM nowhere")
    assert ledger.owner.next(Refused).sqlstate == "42P01"
    assert "ledger: SELECT FROM nowhere refused with 42P01" in ledger.owner.labels(Direction.ANSWER)


def test_a_commit_of_a_failed_transaction_is_labelled_as_the_rollback_it_is(ledger: Ledger):
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        connection.execute("COMMIT")
    assert ledger.owner.labels(Direction.ANSWER)[-1] == "ledger: COMMIT answered ROLLBACK"


def test_a_pipeline_is_one_message_for_each_sync(ledger: Ledger):
    with psycopg.connect(ledger.url) as connection, connection.pipeline() as pipeline:
        for name in ("a", "b"):
            connection.execute("INSERT INTO executions (name) VALUES (%s)", (name,))
        pipeline.sync()
        connection.execute("INSERT INTO executions (name) VALUES (%s)", ("c",))
    assert ledger.executions() == ["a", "b", "c"]
    insert = "INSERT INTO executions (name) VALUES (?)"
    names = [m.fingerprint for m in ledger.owner.recording() if m.direction is Direction.REQUEST]
    assert names == ["CONNECT", "BEGIN", f"{insert}; {insert}", insert, "COMMIT"]
    assert len([m for m in ledger.owner.recording() if m.direction is Direction.ANSWER]) == len(names)
