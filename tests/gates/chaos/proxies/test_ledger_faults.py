"""Each fault strikes exactly where it is armed on the ledger's wire, and its receipt is true."""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from gates.chaos.faults import (
    BrokerRefusal,
    CleanClose,
    Delay,
    Fault,
    HalfOpen,
    KillAfter,
    KillBefore,
    LoseAnswer,
    LoseRequest,
    RefuseConnections,
    Reset,
    Stall,
    TerminateBackend,
)
from gates.chaos.messages import Direction, Point, Strike
from gates.chaos.proxies.events import Decision, Held, Missed, Refused
from gates.chaos.proxies.sessions import MAXIMUM_HELD_BYTES
from gates.chaos.strikes.striking import terminate
from tests.gates.chaos.conftest import Ledger
from tests.gates.chaos.owners import ledger as at

INSERT = "INSERT INTO executions (name) VALUES (?)"
UPDATE = "UPDATE orders SET state = ? WHERE id = ?"
COMMIT = at(Direction.REQUEST, "COMMIT")
COMMITTED = at(Direction.ANSWER, "COMMIT")
ROUNDS = 200
STARTUP = struct.pack(">II", 16, 196_608) + b"user\0x\0\0"


class Zygote:
    """Starts trading processes; each is killed by its pidfd and waited for."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "tests.gates.chaos.zygote", url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def trade(self, name: str, *, then: str = "stays") -> int:
        """The pidfd of a process that trades, and then `stays` or `ends`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{name} {then}\n")
        self._process.stdin.flush()
        return os.pidfd_open(int(self._process.stdout.readline()))

    def kill(self, pidfd: int) -> None:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        self.wait(pidfd)

    def wait(self, pidfd: int) -> None:
        assert select.select([pidfd], [], [], 20)[0], "the process did not end"
        os.close(pidfd)

    def end(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture
def zygote(ledger: Ledger) -> Iterator[Zygote]:
    started = Zygote(ledger.url)
    yield started
    started.end()


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def insert(url: str, name: str = "a") -> None:
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO executions (name) VALUES (%s)", (name,))


def read_one_byte(raw: socket.socket) -> None:
    if not raw.recv(1):
        raise EOFError


def killed_at(ledger: Ledger, zygote: Zygote, point: Point, fault: KillBefore | KillAfter, name: str) -> None:
    ledger.owner.reset()
    ledger.owner.arm(point, fault)
    pidfd = zygote.trade(name)
    held = ledger.owner.next(Held)
    assert held.message.point == point
    zygote.kill(pidfd)
    ledger.owner.decide(held, Decision.DISCARD, signal="SIGKILL")
    receipt = ledger.owner.receipt()
    assert receipt.strike is fault.strike
    assert receipt.proof["signal"] == "SIGKILL"
    assert ledger.owner.do(ledger.owner.proxy.control.close_upstream())


def test_a_kill_before_or_after_commit_is_never_a_coin_toss(ledger: Ledger, zygote: Zygote):
    committed = []
    for number in range(ROUNDS):
        fault, point = [(KillBefore(), COMMIT), (KillAfter(), COMMIT), (KillBefore(), COMMITTED)][number % 3]
        killed_at(ledger, zygote, point, fault, f"{number}")
        if number % 3:
            committed.append(f"{number}")
    assert ledger.executions() == committed


SLOW_COMMIT = """
    CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON executions DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION slowly();
"""


def test_a_kill_after_commit_waits_until_the_server_has_said_so(ledger: Ledger, zygote: Zygote):
    with psycopg.connect(ledger.direct) as connection:
        connection.execute(SLOW_COMMIT)
    ledger.owner.arm(COMMIT, KillAfter())
    pidfd = zygote.trade("slow")
    held = ledger.owner.next(Held)
    assert ledger.executions() == ["slow"]
    zygote.kill(pidfd)
    ledger.owner.decide(held, Decision.DISCARD)
    assert ledger.owner.receipt().proof["answer"] == "COMMIT I"


@pytest.mark.parametrize("end", ["by itself", "by reset"])
def test_what_had_passed_before_the_target_died_is_carried_out(ledger: Ledger, end: str):
    """A COMMIT that still waits in the server's socket behind a slow statement: RST would take it back."""
    connection = psycopg.connect(ledger.url, autocommit=True)
    connection.pgconn.enter_pipeline_mode()
    for statement in (b"BEGIN", b"INSERT INTO executions (name) VALUES ('a')", b"SELECT pg_sleep(0.4)", b"COMMIT"):
        connection.pgconn.send_query_params(statement, None)
        connection.pgconn.pipeline_sync()
    while connection.pgconn.flush():
        time.sleep(0.01)
    while "ledger: COMMIT" not in ledger.owner.labels(Direction.REQUEST):
        time.sleep(0.01)
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
        line.shutdown(socket.SHUT_RDWR)
    if end == "by reset":
        ledger.owner.reset()
    until = time.monotonic() + 5
    while ledger.owner.do(ledger.owner.proxy.control.status()).servers:
        assert time.monotonic() < until
        time.sleep(0.02)
    connection.close()
    assert ledger.executions() == ["a"]


@pytest.mark.parametrize("fault", [KillBefore(), KillAfter()], ids=["before", "after"])
@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("fingerprint", ["CONNECT", "BEGIN", INSERT, UPDATE, "COMMIT"])
def test_every_message_of_a_trade_can_be_killed_at(
    ledger: Ledger, zygote: Zygote, fingerprint: str, direction: Direction, fault: KillBefore | KillAfter
):
    killed_at(ledger, zygote, at(direction, fingerprint), fault, "once")
    happened = fingerprint == "COMMIT" and not (direction is Direction.REQUEST and fault == KillBefore())
    assert ledger.executions() == (["once"] if happened else [])
    zygote.wait(zygote.trade("again", then="ends"))
    assert ledger.executions()[-1] == "again"


def test_nothing_passes_on_the_channel_while_a_message_is_held(
    ledger: Ledger, zygote: Zygote, background: ThreadPoolExecutor
):
    other = psycopg.connect(ledger.url, autocommit=True)
    ledger.owner.arm(COMMIT, KillBefore())
    pidfd = zygote.trade("held")
    held = ledger.owner.next(Held)
    recorded = len(ledger.owner.recording())
    waiting = [
        background.submit(other.execute, "INSERT INTO executions (name) VALUES ('other')"),
        background.submit(insert, ledger.url, "newcomer"),
    ]
    time.sleep(0.5)
    assert len(ledger.owner.recording()) == recorded
    assert ledger.executions() == []
    zygote.kill(pidfd)
    ledger.owner.decide(held, Decision.DISCARD)
    for one in waiting:  # they stood on their way from a target that is dead
        with pytest.raises(psycopg.OperationalError):
            one.result(20)
    assert ledger.executions() == []


def test_a_kill_that_the_owner_lets_pass_is_no_receipt(ledger: Ledger, background: ThreadPoolExecutor):
    ledger.owner.arm(COMMIT, KillBefore())
    going = background.submit(insert, ledger.url)
    ledger.owner.decide(ledger.owner.next(Held), Decision.FORWARD)
    assert "let" in ledger.owner.next(Missed).reason
    going.result(20)
    assert ledger.executions() == ["a"]


def test_a_lost_request_never_reaches_the_server(ledger: Ledger):
    ledger.owner.arm(COMMIT, LoseRequest())
    with pytest.raises(psycopg.OperationalError):
        insert(ledger.url)
    assert ledger.owner.receipt().proof["server_closed"] is True
    assert ledger.executions() == []


@pytest.mark.parametrize(("point", "fault"), [(COMMIT, LoseRequest()), (COMMITTED, LoseAnswer())], ids=str)
def test_a_message_that_is_to_be_held_before_it_is_struck_stands_for_all_of_that_time(
    ledger: Ledger, point: Point, fault: Fault
):
    ledger.owner.arm(point, fault, hold_ms=300)
    with pytest.raises(psycopg.OperationalError):
        insert(ledger.url)
    receipt = ledger.owner.receipt()
    assert receipt.proof["held_ms"] >= 300
    assert receipt.message is not None
    assert receipt.at_s - receipt.message.at_s >= 0.3


@pytest.mark.parametrize("point", [COMMIT, COMMITTED], ids=str)
def test_a_lost_answer_leaves_the_work_done(ledger: Ledger, point: Point):
    ledger.owner.arm(point, LoseAnswer())
    with pytest.raises(psycopg.OperationalError):
        insert(ledger.url)
    receipt = ledger.owner.receipt()
    assert receipt.proof["answer"] == "COMMIT I"
    assert receipt.proof["reset_port"]
    assert ledger.executions() == ["a"]


def test_an_answer_that_is_too_long_to_be_held_passes_and_is_no_receipt(ledger: Ledger):
    ledger.owner.arm(at(Direction.REQUEST, "SELECT repeat(?)"), LoseAnswer())
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        (row,) = connection.execute(f"SELECT repeat('x', {MAXIMUM_HELD_BYTES + 1})").fetchall()
        assert len(row[0]) == MAXIMUM_HELD_BYTES + 1
        assert "too long to be held" in ledger.owner.next(Missed).reason
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_lost_request_is_not_applicable_to_an_answer(ledger: Ledger):
    ledger.owner.arm(COMMITTED, LoseRequest())
    insert(ledger.url)
    assert not ledger.owner.next(Missed).applicable
    assert ledger.executions() == ["a"]


def test_the_second_occurrence_is_struck_and_not_the_first(ledger: Ledger):
    ledger.owner.arm(at(Direction.REQUEST, "COMMIT", 2), LoseRequest())
    insert(ledger.url, "first")
    with pytest.raises(psycopg.OperationalError):
        insert(ledger.url, "second")
    insert(ledger.url, "third")
    assert ledger.executions() == ["first", "third"]


def test_a_delayed_message_comes_late_by_what_the_receipt_says(ledger: Ledger):
    ledger.owner.arm(COMMIT, Delay(delay_ms=300))
    began = time.monotonic()
    insert(ledger.url)
    took_ms = (time.monotonic() - began) * 1000
    assert 300 <= ledger.owner.receipt().proof["delay_ms"] <= took_ms


def test_a_delayed_commit_arrives_even_when_the_target_has_hung_up(ledger: Ledger):
    ledger.owner.arm(COMMIT, Delay(delay_ms=600))
    connection = psycopg.connect(ledger.url)
    connection.execute("INSERT INTO executions (name) VALUES ('late')")
    connection.pgconn.send_query(b"COMMIT")
    connection.pgconn.flush()
    assert ledger.executions() == []
    time.sleep(0.1)
    connection.pgconn.finish()
    assert ledger.owner.receipt().proof["target_hung_up"] is True
    ledger.owner.do(ledger.owner.proxy.control.close_upstream())
    assert ledger.executions() == ["late"]


def test_every_request_can_be_delayed(ledger: Ledger):
    ledger.owner.arm(Direction.REQUEST, Delay(delay_ms=20), times=None)
    insert(ledger.url)
    labels = [ledger.owner.receipt().message.label for _ in range(4)]
    assert labels == ["ledger: connect", "ledger: BEGIN", "ledger: INSERT INTO executions", "ledger: COMMIT"]


def test_a_stalled_connection_says_nothing_until_it_is_reset(ledger: Ledger, background: ThreadPoolExecutor):
    ledger.owner.arm(COMMITTED, Stall(stall_ms=1_500))
    going = background.submit(insert, ledger.url)
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


def test_a_killed_target_leaves_its_locks_until_the_owner_closes_the_server_side(ledger: Ledger, zygote: Zygote):
    ledger.owner.arm(COMMIT, KillBefore())
    pidfd = zygote.trade("held")
    held = ledger.owner.next(Held)
    zygote.kill(pidfd)
    ledger.owner.decide(held, Decision.DISCARD)
    assert ledger.owner.receipt().proof["left_open"] == 1
    locked = "SELECT count(*) FROM pg_locks WHERE pid = " + str(held.backend_pid)
    assert ledger.ask(locked) != [(0,)]
    assert ledger.owner.do(ledger.owner.proxy.control.status()).ghosts == 1
    assert ledger.owner.do(ledger.owner.proxy.control.close_upstream(held.message.connection))
    assert ledger.ask(locked) == [(0,)]


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
        insert(ledger.url)
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
    insert(ledger.url, "after")
    assert ledger.executions() == ["after"]


def test_where_nobody_comes_while_connections_are_refused_none_was_and_there_is_no_receipt(ledger: Ledger):
    ledger.owner.arm(COMMIT, RefuseConnections(duration_ms=30_000, within_ms=200))
    with pytest.raises(psycopg.OperationalError):
        insert(ledger.url)
    missed = ledger.owner.next(Missed)
    assert (missed.applicable, missed.reason) == (
        False,
        "Nobody asked for a connection within 200 ms, so none was refused",
    )
    insert(ledger.url, "after")
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


def test_a_refusal_of_a_broker_is_not_applicable_to_the_ledger(ledger: Ledger):
    ledger.owner.arm(COMMIT, BrokerRefusal())
    insert(ledger.url)
    missed = ledger.owner.next(Missed)
    assert missed.strike is Strike.BROKER_REFUSAL
    assert not missed.applicable
    assert ledger.executions() == ["a"]
