"""A connection to the ledger stalls, breaks or is refused exactly where that is armed, and the receipt is true."""

import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from gates.chaos.faults import CleanClose, HalfOpen, RefuseConnections, Reset, Stall, TerminateBackend
from gates.chaos.messages import Direction, Point
from gates.chaos.proxies.events import Decision, Held, Missed, Refused
from gates.chaos.strikes.striking import terminate
from tests.gates.chaos.conftest import Ledger
from tests.gates.chaos.owners import ledger as at

COMMIT = at(Direction.REQUEST, "COMMIT")
COMMITTED = at(Direction.ANSWER, "COMMIT")
STARTUP = struct.pack(">II", 16, 196_608) + b"user\0x\0\0"


def read_one_byte(raw: socket.socket) -> None:
    if not raw.recv(1):
        raise EOFError


def test_a_stalled_connection_says_nothing_until_it_is_reset(ledger: Ledger, background: ThreadPoolExecutor):
    ledger.owner.arm(COMMITTED, Stall(stall_ms=1_500))
    going = background.submit(ledger.insert)
    until = time.monotonic() + 20
    while not ledger.executions():
        assert time.monotonic() < until
    assert not going.done()
    with pytest.raises(psycopg.OperationalError):
        going.result(20)
    assert ledger.owner.receipt().proof["stall_ms"] >= 1_500


def test_half_open_keeps_the_locks_of_a_target_that_is_gone(ledger: Ledger):
    ledger.owner.arm(COMMIT, HalfOpen(keep_ms=1_500))
    with pytest.raises(psycopg.OperationalError), psycopg.connect(ledger.url) as connection:
        connection.execute("UPDATE orders SET state = 'filled' WHERE id = 1")
    update = "SET lock_timeout = '200ms'; UPDATE orders SET state = 'late' WHERE id = 1 RETURNING id"
    with pytest.raises(psycopg.errors.LockNotAvailable):
        ledger.ask(update)
    receipt = ledger.owner.receipt()
    assert receipt.proof["kept_ms"] >= 1_500
    assert receipt.proof["backend_pid"]
    with psycopg.connect(ledger.direct) as connection:
        connection.execute("UPDATE orders SET state = 'late' WHERE id = 1")


def test_a_connection_that_the_server_ends_meanwhile_was_not_kept(ledger: Ledger):
    ledger.owner.arm(COMMIT, HalfOpen(keep_ms=60_000))
    connection = psycopg.connect(ledger.url)
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    with pytest.raises(psycopg.OperationalError):
        connection.commit()
    ledger.ask(f"SELECT pg_terminate_backend({pid})")
    assert "The server ended the connection" in ledger.owner.next(Missed).reason


@pytest.mark.parametrize(("fault", "error"), [(Reset(), ConnectionResetError), (CleanClose(), EOFError)])
def test_a_reset_and_a_clean_close_are_told_apart_by_the_target(
    ledger: Ledger, fault: Reset | CleanClose, error: type[Exception]
):
    ledger.owner.arm(at(Direction.REQUEST, "CONNECT"), fault)
    with socket.create_connection(("127.0.0.1", ledger.owner.port)) as raw:
        raw.sendall(STARTUP)
        with pytest.raises(error):
            read_one_byte(raw)
    ledger.owner.receipt()


def test_refused_connections_are_reset_once_then_refused_by_the_kernel_and_then_taken_again(ledger: Ledger):
    ledger.owner.arm(COMMIT, RefuseConnections(duration_ms=1_000, within_ms=30_000))
    idle = psycopg.connect(ledger.url)
    with pytest.raises(psycopg.OperationalError):
        ledger.insert()
    time.sleep(1.1)  # longer than it lasts: that is counted from the first who asks on
    with socket.create_connection(("127.0.0.1", ledger.owner.port)) as first, pytest.raises(ConnectionResetError):
        read_one_byte(first)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ledger.owner.port))
    receipt = ledger.owner.receipt()
    assert receipt.proof["connections_cut"] == 2
    assert receipt.proof["refused_ms"] >= 2_000
    with pytest.raises(psycopg.OperationalError):
        idle.execute("SELECT 1")
    ledger.insert("after")
    assert ledger.executions() == ["after"]


def test_where_nobody_comes_while_connections_are_refused_none_was_and_there_is_no_receipt(ledger: Ledger):
    ledger.owner.arm(COMMIT, RefuseConnections(duration_ms=30_000, within_ms=200))
    with pytest.raises(psycopg.OperationalError):
        ledger.insert()
    missed = ledger.owner.next(Missed)
    assert (missed.applicable, missed.reason) == (
        False,
        "Nobody asked for a connection within 200 ms, so none was refused",
    )
    ledger.insert("after")
    assert ledger.executions() == ["after"]


def commit_and_go_on(ledger: Ledger) -> None:
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        connection.execute("BEGIN; INSERT INTO executions (name) VALUES ('a')")
        connection.execute("COMMIT")
        connection.execute("SELECT 1")


@pytest.mark.parametrize("point", [COMMIT, COMMITTED], ids=str)
def test_a_terminated_backend_is_proven_by_its_sqlstate(ledger: Ledger, background: ThreadPoolExecutor, point: Point):
    ledger.owner.arm(point, TerminateBackend())
    going = background.submit(commit_and_go_on, ledger)
    held = ledger.owner.next(Held)
    assert held.backend_pid
    ended = ledger.owner.do(terminate(ledger.direct, held.backend_pid))
    ledger.owner.decide(held, Decision.FORWARD, terminated=ended)
    assert ledger.owner.receipt().proof == {"backend_pid": held.backend_pid, "sqlstate": "57P01"}
    with pytest.raises(psycopg.OperationalError):
        going.result(20)
    assert ledger.executions() == ([] if point == COMMIT else ["a"])


def test_a_backend_that_nobody_terminated_is_no_receipt_and_goes_on(ledger: Ledger, background: ThreadPoolExecutor):
    ledger.owner.arm(COMMIT, TerminateBackend())
    going = background.submit(commit_and_go_on, ledger)
    ledger.owner.decide(ledger.owner.next(Held), Decision.FORWARD, terminated=False)
    assert "knew no backend" in ledger.owner.next(Missed).reason
    going.result(20)
    assert ledger.executions() == ["a"]


def test_a_backend_that_ended_by_itself_is_no_receipt(ledger: Ledger, background: ThreadPoolExecutor):
    def commit_too_late() -> None:
        with psycopg.connect(ledger.url, autocommit=True) as connection:
            connection.execute("SET idle_session_timeout = '100ms'")
            connection.execute("COMMIT")
            connection.execute("SELECT pg_sleep(60)")

    ledger.owner.arm(COMMIT, TerminateBackend())
    going = background.submit(commit_too_late)
    held = ledger.owner.next(Held)
    assert ledger.owner.next(Refused).sqlstate == "57P05"
    ledger.owner.decide(held, Decision.FORWARD, terminated=True)
    assert "ended with 57P05 instead of 57P01" in ledger.owner.next(Missed).reason
    with pytest.raises(psycopg.OperationalError):
        going.result(20)
