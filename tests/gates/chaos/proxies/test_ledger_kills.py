"""A kill strikes exactly where it is armed on the ledger's wire, and its receipt is true."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from gates.chaos.faults import KillAfter, KillBefore
from gates.chaos.messages import Direction, Point
from gates.chaos.proxies.events import Decision, Held, Missed
from tests.gates.chaos.conftest import Ledger
from tests.gates.chaos.owners import ledger as at

INSERT = "INSERT INTO executions (name) VALUES (?)"
UPDATE = "UPDATE orders SET state = ? WHERE id = ?"
COMMIT = at(Direction.REQUEST, "COMMIT")
COMMITTED = at(Direction.ANSWER, "COMMIT")
ROUNDS = 200
SLOW_COMMIT = """
    CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON executions DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION slowly();
"""


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
        background.submit(ledger.insert, "newcomer"),
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
    going = background.submit(ledger.insert)
    ledger.owner.decide(ledger.owner.next(Held), Decision.FORWARD)
    assert "let" in ledger.owner.next(Missed).reason
    going.result(20)
    assert ledger.executions() == ["a"]


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
