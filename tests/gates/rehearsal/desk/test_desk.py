"""The desk and the broker as they run in a rehearsal: real processes, a real database, real sockets."""

import os
import signal
from decimal import Decimal

import pytest

from .books import assert_books_are_exact, cursor_of, rows
from .processes import end, running_broker, running_desk, wait_until
from .transactions import ACCOUNT

FAST = ("--trade-every-s", "0.1", "--stop-pips", "2", "--take-profit-pips", "2", "--reconcile-every-s", "0.5")
LIVELY = ("--tick-ms", "50", "--volatility-pips", "1.0", "--seed", "7")
CLOSED = "SELECT count(*) AS n FROM wartest.positions WHERE status = 'closed'"


@pytest.fixture
def quiet_broker():
    with running_broker("--no-feed") as broker:
        yield broker


def closed_positions(url):
    return rows(url, CLOSED)[0]["n"]


def test_after_trading_fast_the_books_are_the_brokers(desk_database_url):
    with running_broker(*LIVELY) as broker:
        with running_desk(desk_database_url, broker.url, *FAST) as desk:
            wait_until(desk.is_well, what="the desk is well")
            wait_until(lambda: closed_positions(desk_database_url) >= 12, what="12 closed positions", limit_s=40)
            assert desk.is_well()
            assert end(desk.process) < 3
        transactions = assert_books_are_exact(desk_database_url, broker)
    reasons = {row["close_reason"] for row in rows(desk_database_url, "SELECT close_reason FROM wartest.positions")}
    assert reasons & {"STOP_LOSS", "TAKE_PROFIT"}
    assert len(transactions) > 50
    reconciliations = rows(desk_database_url, "SELECT * FROM wartest.reconciliations")
    assert len(reconciliations) > 3
    assert all(row["mismatches"] == 0 for row in reconciliations)


def test_killed_again_and_again_the_books_stay_exact(desk_database_url):
    with running_broker(*LIVELY) as broker:
        for _ in range(4):
            with running_desk(desk_database_url, broker.url, *FAST) as desk:
                wait_until(desk.is_well, what="the desk is well")
                seen = cursor_of(desk_database_url)
                wait_until(lambda seen=seen: cursor_of(desk_database_url) > seen + 15, what="it trades")
                os.kill(desk.process.pid, signal.SIGKILL)
                desk.process.wait(5)
            assert_books_are_exact(desk_database_url, broker)
        with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
            wait_until(desk.is_well, what="the desk is well")
            no_doubts = "SELECT 1 FROM wartest.orders WHERE status IN ('pending', 'submitted')"
            wait_until(lambda: not rows(desk_database_url, no_doubts), what="no order is in doubt")
            assert desk.ask("replay").json()["differences"] == []
            assert desk.ask("reconcile").json()["mismatches"] == []
        assert_books_are_exact(desk_database_url, broker)


def test_the_six_operations_do_what_they_say(desk_database_url, quiet_broker):
    with running_desk(desk_database_url, quiet_broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        assert desk.ask("close").status_code == 409
        opened = desk.ask("open", instrument="USD_JPY", units="-1000", key="first").json()
        assert opened["status"] == "filled"
        assert desk.ask("open", units="-1000", key="first").json()["order_id"] == opened["order_id"]
        assert len(quiet_broker.get("/openTrades")["trades"]) == 1
        assert desk.ask("partial_fill").json()["status"] == "filled"
        assert quiet_broker.get("/openTrades")["trades"][0]["currentUnits"] == "-500"
        assert desk.ask("margin_update").json()["positions"] == 1
        assert desk.ask("margin_update").json()["positions"] == 1
        assert desk.ask("reconcile").json()["mismatches"] == []
        assert desk.ask("close").json()["status"] == "filled"
        assert desk.ask("replay").json()["differences"] == []
        assert desk.health().json()["open_positions"] == 0
    assert quiet_broker.get("/openTrades")["trades"] == []
    assert_books_are_exact(desk_database_url, quiet_broker)
    (position,) = rows(desk_database_url, "SELECT * FROM wartest.positions")
    executions = rows(desk_database_url, "SELECT * FROM wartest.executions WHERE realized_pnl <> 0")
    assert len(executions) == 2
    for deal in executions:
        gain = deal["units"] * (position["entry_price"] - deal["price"]) * deal["conversion_rate"]
        assert abs(gain - deal["realized_pnl"]) < Decimal("0.0001")


def test_an_order_accepted_without_an_answer_is_found_and_not_sent_again(desk_database_url, quiet_broker):
    with running_desk(desk_database_url, quiet_broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        quiet_broker.control("POST", "/faults", {"kind": "accepted_not_answered", "times": 1})
        assert desk.ask("open").json()["status"] == "filled"
        assert len(quiet_broker.get("/openTrades")["trades"]) == 1
        quiet_broker.control("POST", "/faults", {"kind": "accepted_not_answered", "times": 1})
        assert desk.ask("close").json()["status"] == "filled"
    assert_books_are_exact(desk_database_url, quiet_broker)


def test_an_order_the_broker_never_took_is_given_up(desk_database_url, quiet_broker):
    with running_desk(desk_database_url, quiet_broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        quiet_broker.control("POST", "/faults", {"kind": "refused", "method": "POST", "times": 1})
        assert desk.ask("open").json()["status"] == "cancelled"
        assert desk.ask("open").json()["status"] == "filled"
    assert_books_are_exact(desk_database_url, quiet_broker)


@pytest.mark.parametrize("kind", ["html", "unauthorised", "refused"])
def test_a_broken_broker_shows_in_health_and_heals(desk_database_url, quiet_broker, kind):
    with running_desk(desk_database_url, quiet_broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        quiet_broker.control("POST", "/faults", {"kind": kind})
        reply = desk.health()
        assert reply.status_code == 503
        assert "the broker" in reply.json()["reason"]
        quiet_broker.control("DELETE", "/faults")
        wait_until(desk.is_well, what="the desk is well again")


def test_the_funding_is_the_first_balance_event(desk_database_url, quiet_broker):
    with running_desk(desk_database_url, quiet_broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
    (account,) = rows(desk_database_url, "SELECT * FROM wartest.accounts")
    assert (account["account_id"], account["opening_balance"], account["balance"]) == (ACCOUNT, 0, 100000)


def test_a_close_the_broker_refuses_is_rejected_at_once(desk_database_url, quiet_broker):
    with running_desk(desk_database_url, quiet_broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        refusal = {"kind": "refused", "status": 404, "method": "PUT", "times": 1}
        desk.ask("open")
        quiet_broker.control("POST", "/faults", refusal)
        assert desk.ask("close").json()["status"] == "rejected"
        assert desk.ask("close").json()["status"] == "filled"
    assert_books_are_exact(desk_database_url, quiet_broker)
