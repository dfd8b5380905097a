"""The corners of PostgreSQL's protocol, through the proxy: COPY, notices, notifications, cancels, errors, sizes."""

import asyncio
import select
import socket
import struct
import threading
import time
from contextlib import closing

import asyncpg
import psycopg
import pytest

from gates.chaos.faults import Delay, LoseAnswer, LoseRequest
from gates.chaos.messages import Direction
from tests.gates.chaos.conftest import Ledger
from tests.gates.chaos.owners import ledger as at

COPY = "COPY executions (name) FROM STDIN"


def requests(ledger: Ledger) -> list[str]:
    return [message.fingerprint for message in ledger.owner.recording() if message.direction is Direction.REQUEST]


def two_in_a_pipeline(connection: psycopg.Connection, *statements: str) -> None:
    with connection.pipeline():
        for statement in statements:
            connection.execute(statement)


def test_rows_copied_in_are_named_at_their_beginning_and_end(ledger: Ledger):
    with psycopg.connect(ledger.url) as connection, connection.cursor().copy(COPY) as copy:
        for number in range(1_000):
            copy.write_row([f"row {number}"])
    assert len(ledger.executions()) == 1_000
    assert requests(ledger) == ["CONNECT", "BEGIN", COPY, f"{COPY} rows", f"{COPY} done", "COMMIT"]
    answers = [message.label for message in ledger.owner.recording() if message.direction is Direction.ANSWER]
    assert answers[-2:] == ["ledger: COPY executions FROM done acknowledged", "ledger: COMMIT acknowledged"]


def test_the_end_of_a_copy_can_be_lost(ledger: Ledger):
    ledger.owner.arm(at(Direction.REQUEST, f"{COPY} done"), LoseRequest())
    with (
        pytest.raises(psycopg.OperationalError),
        psycopg.connect(ledger.url, autocommit=True) as connection,
        connection.cursor().copy(COPY) as copy,
    ):
        copy.write_row(["lost"])
    ledger.owner.receipt()
    assert ledger.executions() == []


def test_a_copy_that_the_server_refuses_leaves_the_connection_in_order(ledger: Ledger):
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        with (
            pytest.raises(psycopg.errors.InvalidTextRepresentation),
            connection.cursor().copy("COPY orders (id) FROM STDIN") as copy,
        ):
            copy.write_row(["no number"])
        assert connection.execute("SELECT 1").fetchone() == (1,)
    answers = [message.point for message in ledger.owner.recording() if message.direction is Direction.ANSWER]
    assert answers[-1].fingerprint == "SELECT ?"


def test_a_copy_refused_before_its_end_came_is_not_held_against_the_next_statement(ledger: Ledger):
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        wire = connection.pgconn
        assert wire.exec_(COPY.encode()).status == psycopg.pq.ExecStatus.COPY_IN
        wire.put_copy_data(b"one\ttoo many\n")
        wire.flush()
        assert select.select([wire.socket], [], [], 20)[0], "the server refuses at once"
        wire.put_copy_end()
        wire.flush()
        while (result := wire.get_result()) is not None:
            assert result.status == psycopg.pq.ExecStatus.FATAL_ERROR
        assert connection.execute("SELECT 1").fetchone() == (1,)
    answers = [message.label for message in ledger.owner.recording() if message.direction is Direction.ANSWER]
    assert answers[-1] == "ledger: SELECT ? acknowledged"


def test_many_rows_come_out_as_they_went_in(ledger: Ledger):
    asked = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT"
    with psycopg.connect(ledger.url) as connection, connection.cursor().copy(asked) as copy:
        assert sum(len(block) for block in copy) == 20_000 * 1_001


def test_asyncpg_copies_both_ways(ledger: Ledger):
    async def both_ways() -> int:
        connection = await asyncpg.connect(ledger.url)
        await connection.copy_records_to_table("executions", records=[("a",), ("b",)], columns=["name"])
        rows = await connection.fetch("SELECT name FROM executions")
        await connection.close()
        return len(rows)

    assert asyncio.run(both_ways()) == 2


def test_a_statement_of_many_megabytes_passes_both_ways(ledger: Ledger):
    large = "x" * 20_000_000
    with psycopg.connect(ledger.url) as connection:
        assert connection.execute("SELECT length(%s)", (large,)).fetchone() == (len(large),)
        assert connection.execute("SELECT repeat('y', 20000000)").fetchone() == ("y" * 20_000_000,)
    status = ledger.owner.do(ledger.owner.proxy.control.status())
    assert status.buffered_bytes < 1_000_000


def test_a_reader_that_pauses_does_not_fill_the_proxy(ledger: Ledger):
    before = ledger.owner.do(ledger.owner.proxy.control.status()).memory_bytes
    connection = psycopg.connect(ledger.url)
    connection.pgconn.send_query(b"SELECT repeat('z', 1000000) FROM generate_series(1, 300)")
    connection.pgconn.flush()
    time.sleep(0.7)
    status = ledger.owner.do(ledger.owner.proxy.control.status())
    assert status.buffered_bytes < 4_000_000
    assert status.memory_bytes - before < 50_000_000
    connection.close()


def test_notices_and_notifications_pass_uncounted(ledger: Ledger):
    notices: list[str] = []
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
        connection.execute("DO $$ BEGIN RAISE NOTICE 'careful'; END $$")
        connection.execute("LISTEN news")
        with psycopg.connect(ledger.direct, autocommit=True) as other:
            other.execute("NOTIFY news, 'now'")
        assert [told.payload for told in connection.notifies(timeout=5, stop_after=1)] == ["now"]
    assert notices == ["careful"]
    recording = ledger.owner.recording()
    assert len([m for m in recording if m.direction is Direction.ANSWER]) == len(requests(ledger))


def test_a_cancel_reaches_the_server_on_a_connection_of_its_own(ledger: Ledger):
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        threading.Timer(0.3, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(20)")
    assert requests(ledger) == ["CONNECT", "SELECT pg_sleep(?)", "CANCEL"]


def test_protocol_3_2_passes_with_its_longer_keys(ledger: Ledger):
    if psycopg.pq.version() < 180_000:
        pytest.fail("psycopg's libpq does not know protocol 3.2; take a newer psycopg-binary")
    with psycopg.connect(ledger.url, max_protocol_version="3.2", autocommit=True) as connection:
        assert connection.pgconn.parameter_status(b"server_version")
        threading.Timer(0.3, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(20)")


def test_an_error_in_a_pipeline_skips_to_the_next_sync_and_the_names_stay_right(ledger: Ledger):
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            two_in_a_pipeline(connection, "SELECT 1/0", "SELECT 2")
        assert connection.execute("SELECT name FROM executions").fetchall() == []
    assert ledger.owner.recording()[-1].fingerprint == "SELECT name FROM executions"
    assert ledger.owner.recording()[-1].outcome == "SELECT 0 I"


def test_results_fetched_inside_a_pipeline_come_before_its_sync(ledger: Ledger):
    with psycopg.connect(ledger.url, autocommit=True) as connection, connection.pipeline():
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (2,)
        assert connection.execute("SELECT state FROM orders WHERE id = %s", (2,)).fetchone() == ("new",)
    answers = [message.outcome for message in ledger.owner.recording() if message.direction is Direction.ANSWER]
    assert answers[1:3] == ["SELECT 1", "SELECT 1"]


def test_an_answer_behind_a_flush_can_be_lost(ledger: Ledger):
    lookup = "SELECT count(*) FROM orders"
    ledger.owner.arm(at(Direction.REQUEST, lookup), LoseAnswer())
    with (
        pytest.raises(psycopg.OperationalError),
        psycopg.connect(ledger.url, autocommit=True) as connection,
        connection.pipeline(),
    ):
        connection.execute(lookup).fetchone()
    assert ledger.owner.receipt().proof["answer"] == "SELECT 1"


def flushed_twice(connection: psycopg.Connection, prepared: bytes) -> None:
    """Parse, Describe, Flush, Bind, Describe, Execute, Flush, and nothing read in between."""
    wire = connection.pgconn
    wire.enter_pipeline_mode()
    wire.send_prepare(b"place", prepared)
    wire.send_describe_prepared(b"place")
    wire.send_flush_request()
    wire.send_query_prepared(b"place", [b"a"])
    wire.send_flush_request()
    wire.flush()


def results(connection: psycopg.Connection, last: int) -> list[int]:
    """What the server answers, up to the first of that status."""
    wire, seen = connection.pgconn, []
    while last not in seen:
        while wire.is_busy():
            assert select.select([wire.socket], [], [], 20)[0], seen
            wire.consume_input()
        if (result := wire.get_result()) is not None:
            seen.append(result.status)
    return seen


INSERT = b"INSERT INTO executions (name) VALUES ($1)"


def test_what_an_earlier_flush_asked_for_is_no_answer_to_a_later_one(ledger: Ledger):
    insert = at(Direction.REQUEST, "INSERT INTO executions (name) VALUES (?)")
    ledger.owner.arm(insert, LoseAnswer())
    with closing(psycopg.connect(ledger.url, autocommit=True)) as connection:
        flushed_twice(connection, INSERT)
        assert ledger.owner.receipt().proof["answer"] == "INSERT 0 1"


def test_two_flushes_without_a_fault_are_answered_each_by_its_own(ledger: Ledger):
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        flushed_twice(connection, INSERT)
        results(connection, psycopg.pq.ExecStatus.COMMAND_OK)
        connection.pgconn.pipeline_sync()
        results(connection, psycopg.pq.ExecStatus.PIPELINE_SYNC)
    answers = [message.outcome for message in ledger.owner.recording() if message.direction is Direction.ANSWER]
    assert answers[1:] == ["INSERT 0 1", "I"]
    assert ledger.executions() == ["a"]


def test_an_error_behind_a_flush_skips_what_a_later_one_asked_for(ledger: Ledger):
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        flushed_twice(connection, b"INSERT INTO nowhere VALUES ($1)")
        connection.pgconn.pipeline_sync()
        results(connection, psycopg.pq.ExecStatus.PIPELINE_SYNC)
        connection.pgconn.exit_pipeline_mode()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    answers = [message.label for message in ledger.owner.recording() if message.direction is Direction.ANSWER]
    assert answers[1:] == [
        "ledger: INSERT INTO nowhere refused with 42P01",
        "ledger: sync acknowledged",
        "ledger: SELECT ? acknowledged",
    ]


def test_prepared_statements_of_sql_are_known_by_what_they_run(ledger: Ledger):
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        connection.execute("PREPARE place (text) AS INSERT INTO executions (name) VALUES ($1)")
        connection.execute("EXECUTE place('a')")
    insert = "INSERT INTO executions (name) VALUES (?)"
    assert requests(ledger)[1:] == [f"PREPARE {insert}", insert]


def test_an_answer_split_over_many_reads_is_held_whole(ledger: Ledger):
    asked = "SELECT repeat(?) FROM generate_series(?)"
    ledger.owner.arm(at(Direction.ANSWER, asked), Delay(delay_ms=50))
    with psycopg.connect(ledger.url) as connection:
        rows = connection.execute("SELECT repeat('q', 100000) FROM generate_series(1, 30)").fetchall()
    assert len(rows) == 30
    assert ledger.owner.receipt().message.fingerprint == asked


def test_messages_that_come_byte_by_byte_are_understood(ledger: Ledger):
    """A hand-made client, slower than any driver: `trust` is not offered, so the answer is a request for a password."""
    startup = struct.pack(">I", 196_608) + b"user\0wartest\0database\0postgres\0\0"
    with socket.create_connection(("127.0.0.1", ledger.owner.port)) as raw:
        for byte in struct.pack(">I", len(startup) + 4) + startup:
            raw.sendall(bytes([byte]))
            time.sleep(0.001)
        raw.settimeout(10)
        assert raw.recv(1) == b"R"
