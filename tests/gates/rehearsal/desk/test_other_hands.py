"""What reaches the account past the desk: other people's orders, funding, financing, stops, commissions."""

import pytest

from .books import assert_books_are_exact, cursor_of, rows
from .processes import running_broker, running_desk, wait_until
from .transactions import ACCOUNT


@pytest.fixture(params=["USD", "EUR"])
def broker(request):
    with running_broker("--no-feed", "--currency", request.param, "--commission-per-million", "50") as running:
        yield running


def market(instrument, units, **fields):
    return {"order": {"type": "MARKET", "instrument": instrument, "units": units, **fields}}


def level(url, broker):
    last = int(broker.get("/summary")["lastTransactionID"])
    wait_until(lambda: cursor_of(url) >= last, what="the books are level with the broker")


def test_whatever_other_hands_do_is_booked_exactly(desk_database_url, broker):
    with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        for instrument, units in (("GBP_USD", "3000"), ("USD_JPY", "-2500"), ("GBP_USD", "2000")):
            assert desk.ask("open", instrument=instrument, units=units).json()["status"] == "filled"
        broker.control("POST", "/financing", {"days": 3})
        broker.control("POST", "/transfers", {"account_id": ACCOUNT, "amount": "250.5"})
        broker.control("POST", "/transfers", {"account_id": ACCOUNT, "amount": "-100"})
        broker.send("POST", "/orders", market("GBP_USD", "-4000"))  # closes one trade, reduces the other
        broker.send("POST", "/orders", market("USD_JPY", "4000"))  # closes and opens the other way
        broker.send("PUT", "/positions/USD_JPY/close", {"longUnits": "ALL"})
        level(desk_database_url, broker)
        assert desk.is_well()
        assert desk.ask("reconcile").json()["mismatches"] == []
        assert desk.ask("replay").json()["differences"] == []
    assert_books_are_exact(desk_database_url, broker)
    kinds = {row["event_type"] for row in rows(desk_database_url, "SELECT event_type FROM wartest.balance_events")}
    assert kinds == {"DEPOSIT", "WITHDRAWAL", "PNL_REALIZED", "FINANCING", "COMMISSION"}
    late = rows(
        desk_database_url,
        "SELECT 1 FROM wartest.orders JOIN wartest.executions USING (order_id) WHERE created_at > executed_at",
    )
    assert late == []


def test_what_happened_while_the_desk_was_away_is_booked_at_its_start(desk_database_url, broker):
    with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        desk.ask("open", units="1000")
    (trade,) = broker.get("/openTrades")["trades"]
    broker.send("PUT", f"/trades/{trade['id']}/close", {"units": "ALL"})
    with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        assert desk.health().json()["open_positions"] == 0
    assert_books_are_exact(desk_database_url, broker)


def test_a_touched_stop_closes_the_position_with_its_reason(desk_database_url, broker):
    with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        desk.ask("open", instrument="EUR_USD", units="1000")
        broker.control("POST", "/ticks", {"instrument": "EUR_USD", "bid": "1.00000", "ask": "1.00010"})
        desk.ask("open", instrument="EUR_USD", units="1000")
        broker.control("POST", "/ticks", {"instrument": "EUR_USD", "bid": "1.10000", "ask": "1.10010"})
        level(desk_database_url, broker)
    positions = rows(desk_database_url, "SELECT close_reason FROM wartest.positions ORDER BY opened_at")
    assert [position["close_reason"] for position in positions] == ["STOP_LOSS", "TAKE_PROFIT"]
    assert_books_are_exact(desk_database_url, broker)


def test_an_order_of_which_the_market_has_only_a_part_ends_partially_filled(desk_database_url, broker):
    with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        broker.control("POST", "/liquidity", {"instrument": "EUR_USD", "units": "300"})
        order = desk.ask("open", instrument="EUR_USD", units="1000", time_in_force="IOC").json()
        assert order["status"] == "partially_filled"
        broker.control("POST", "/liquidity", {"instrument": "EUR_USD", "units": "300"})
        assert desk.ask("open", instrument="EUR_USD", units="1000").json()["status"] == "cancelled"
        level(desk_database_url, broker)
    (position,) = rows(desk_database_url, "SELECT units FROM wartest.positions")
    assert position["units"] == 300
    assert_books_are_exact(desk_database_url, broker)
