"""A message of the ledger's wire is lost or late exactly where that is armed, and the receipt is true."""

import time

import psycopg
import pytest

from gates.chaos.faults import BrokerRefusal, Delay, Fault, LoseAnswer, LoseRequest
from gates.chaos.messages import Direction, Point, Strike
from gates.chaos.proxies.events import Missed
from gates.chaos.proxies.sessions import MAXIMUM_HELD_BYTES
from tests.gates.chaos.conftest import Ledger
from tests.gates.chaos.owners import ledger as at

COMMIT = at(Direction.REQUEST, "COMMIT")
COMMITTED = at(Direction.ANSWER, "COMMIT")


def test_a_lost_request_never_reaches_the_server(ledger: Ledger):
    ledger.owner.arm(COMMIT, LoseRequest())
    with pytest.raises(psycopg.OperationalError):
        ledger.insert()
    assert ledger.owner.receipt().proof["server_closed"] is True
    assert ledger.executions() == []


@pytest.mark.parametrize(("point", "fault"), [(COMMIT, LoseRequest()), (COMMITTED, LoseAnswer())], ids=str)
def test_a_message_that_is_to_be_held_before_it_is_struck_stands_for_all_of_that_time(
    ledger: Ledger, point: Point, fault: Fault
):
    ledger.owner.arm(point, fault, hold_ms=300)
    with pytest.raises(psycopg.OperationalError):
        ledger.insert()
    receipt = ledger.owner.receipt()
    assert receipt.proof["held_ms"] >= 300
    assert receipt.message is not None
    assert receipt.at_s - receipt.message.at_s >= 0.3


@pytest.mark.parametrize("point", [COMMIT, COMMITTED], ids=str)
def test_a_lost_answer_leaves_the_work_done(ledger: Ledger, point: Point):
    ledger.owner.arm(point, LoseAnswer())
    with pytest.raises(psycopg.OperationalError):
        ledger.insert()
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
    ledger.insert()
    assert not ledger.owner.next(Missed).applicable
    assert ledger.executions() == ["a"]


def test_the_second_occurrence_is_struck_and_not_the_first(ledger: Ledger):
    ledger.owner.arm(at(Direction.REQUEST, "COMMIT", 2), LoseRequest())
    ledger.insert("first")
    with pytest.raises(psycopg.OperationalError):
        ledger.insert("second")
    ledger.insert("third")
    assert ledger.executions() == ["first", "third"]


def test_a_delayed_message_comes_late_by_what_the_receipt_says(ledger: Ledger):
    ledger.owner.arm(COMMIT, Delay(delay_ms=300))
    began = time.monotonic()
    ledger.insert()
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
    ledger.insert()
    labels = [ledger.owner.receipt().message.label for _ in range(4)]
    assert labels == ["ledger: connect", "ledger: BEGIN", "ledger: INSERT INTO executions", "ledger: COMMIT"]


def test_a_refusal_of_a_broker_is_not_applicable_to_the_ledger(ledger: Ledger):
    ledger.owner.arm(COMMIT, BrokerRefusal())
    ledger.insert()
    missed = ledger.owner.next(Missed)
    assert missed.strike is Strike.BROKER_REFUSAL
    assert not missed.applicable
    assert ledger.executions() == ["a"]
