"""One hash for one durable state: blind to random ids, times and a noise that was learned, and to nothing else."""

import asyncio
import uuid

import psycopg
import pytest

from gates.chaos.cells.digests import durable_digest
from gates.chaos.cells.noise import SILENCE, Noise
from gates.chaos.cells.resting import resting_told
from gates.chaos.cells.states import told_alike, transactions_told

TABLES = """CREATE SCHEMA books; CREATE SCHEMA own;
    CREATE TABLE books.orders (order_id text, status text, note text, created_at timestamptz DEFAULT clock_timestamp());
    CREATE TABLE books.reconciliations (took_ms integer);
    CREATE TABLE own.cursors (last_transaction_id bigint);
    INSERT INTO own.cursors VALUES (7)"""
FILL = {"id": "8", "type": "ORDER_FILL", "units": "1000", "time": "2026-11-26T06:00:00.1Z"}


@pytest.fixture
def digest_after(postgres_server):
    """Make a database with one order in it, change it by these statements, and tell its digest."""

    async def run(statements, broker, account, noise):
        url = postgres_server.create_database(f"states_{uuid.uuid4().hex[:12]}")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(TABLES)
            note = f"sent as {uuid.uuid4()} by {account}"
            await connection.execute("INSERT INTO books.orders VALUES (%s, 'pending', %s)", (uuid.uuid4().hex, note))
            for statement in statements:
                await connection.execute(statement)
            return await durable_digest(connection, account, [transactions_told(broker), resting_told(broker)], noise)

    return lambda *statements, broker=(FILL,), account="101-1", noise=SILENCE: asyncio.run(
        run(statements, broker, account, noise)
    )


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


JOBS = """CREATE TABLE own.jobs (id text, state text, took_ms integer, facts jsonb, lot text);
    INSERT INTO own.jobs VALUES {}"""
FIRST = """('V1StGXR8_Z5jdHi6B-myT', 'sent', 12, '{"ms": 3.5, "state": "open"}', NULL)"""
OTHER = """('kQwXbNTzRvLpYhGfDsAmJ', 'sent', 7, '{"ms": 11, "state": "open"}', NULL)"""
NOISY = Noise(frozenset(("own", "jobs", column) for column in ("id", "state", "took_ms", "facts", "lot")))


def test_numbers_and_random_words_of_a_noisy_column_do_not_tell_states_apart(digest_after):
    assert digest_after(JOBS.format(FIRST)) != digest_after(JOBS.format(OTHER))
    assert digest_after(JOBS.format(FIRST), noise=NOISY) == digest_after(JOBS.format(OTHER), noise=NOISY)


@pytest.mark.parametrize(
    "changed",
    ["state = 'done'", "took_ms = NULL", "lot = 'x7'", """facts = '{"ms": 11, "state": "closed"}'"""],
)
def test_words_of_a_noisy_column_and_whether_it_has_a_value_tell_states_apart_still(digest_after, changed):
    made = JOBS.format(OTHER)
    assert digest_after(made, f"UPDATE own.jobs SET {changed}", noise=NOISY) != digest_after(made, noise=NOISY)


def test_beside_a_noise_every_other_column_and_row_counts_as_ever(digest_after):
    def left(*statements):
        return digest_after(JOBS.format(FIRST), *statements, noise=noise)

    noise = Noise(frozenset({("own", "jobs", "took_ms")}), frozenset({("books", "reconciliations")}))
    assert left("UPDATE own.jobs SET took_ms = 8") == left()
    assert left("UPDATE own.cursors SET last_transaction_id = 8") != left()
    assert left("UPDATE own.jobs SET id = 'V1StGXR8_Z5jdHi6B-myX'") != left()
    assert left("INSERT INTO own.jobs SELECT * FROM own.jobs") != left()


STEPS = """CREATE TABLE own.jobs (facts jsonb, note text); CREATE TABLE own.marks (name text, value numeric);
    INSERT INTO own.jobs VALUES ('{"step": 2, "took": 1.2}', 'step 2 in 1.2 ms');
    INSERT INTO own.marks VALUES ('step', 2), ('took', 1.2)"""
VARYING = Noise(
    frozenset({("own", "jobs", "facts"), ("own", "jobs", "note"), ("own", "marks", "value")}),
    frozenset({("own", "cursors")}),
)


@pytest.mark.parametrize(
    "further",
    [
        """UPDATE own.jobs SET facts = '{"step": 3, "took": 1.2}'""",
        "UPDATE own.jobs SET note = 'step 3 in 1.2 ms'",
        "UPDATE own.marks SET value = 3 WHERE name = 'step'",
        "INSERT INTO own.cursors VALUES (8)",
    ],
)
def test_how_far_an_operation_has_come_may_hide_in_a_noise_and_shows_where_nothing_is_left_out(digest_after, further):
    assert digest_after(STEPS, further, noise=VARYING) == digest_after(STEPS, noise=VARYING)
    assert digest_after(STEPS, further) != digest_after(STEPS)


def test_a_journal_with_a_line_more_or_another_step_is_told_apart_whatever_times_it_holds():
    line = '{{"at": "2026-11-26T06:00:0{}Z", "step": {}}}\n'
    journal = line.format(0, 1) + line.format(1, 2)
    assert told_alike(journal, ()) == told_alike(line.format(3, 1) + line.format(4, 2), ())
    assert len({told_alike(each, ()) for each in (journal, line.format(0, 1), journal + line.format(2, 3))}) == 3
    assert told_alike(journal, ()) != told_alike(line.format(0, 1) + line.format(1, 3), ())


def test_of_a_table_that_is_noise_nothing_counts(digest_after):
    noise = Noise(tables=frozenset({("own", "cursors")}))
    assert digest_after("DELETE FROM own.cursors", noise=noise) == digest_after(noise=noise)
    assert digest_after("UPDATE books.orders SET status = 'filled'", noise=noise) != digest_after(noise=noise)
