"""Stops as they happen: touched by the right side, executed or overdue, each told once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.streams.lines import Quote
from gates.streams.stopwatch import Stopwatch

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def quote(bid, seconds, instrument="EUR_USD"):
    return Quote(at(seconds), instrument, Decimal(bid), Decimal(bid) + Decimal("0.0002"))


def opened(trade_id="5", units="1000"):
    return {
        "type": "ORDER_FILL",
        "id": trade_id,
        "time": at(0).isoformat(),
        "reason": "MARKET_ORDER",
        "instrument": "EUR_USD",
        "tradeOpened": {"tradeID": trade_id, "units": units},
    }


def stop(price, *, order_id="6", trade_id="5", kind="STOP_LOSS_ORDER", **fields):
    return {"type": kind, "id": order_id, "tradeID": trade_id, "price": price, "time": at(1).isoformat()} | fields


def filled(order_id="6", trade_id="5", *, seconds, kind="STOP_LOSS_ORDER", price="1.0950", **fields):
    return fields | {
        "type": "ORDER_FILL",
        "id": "9",
        "orderID": order_id,
        "time": at(seconds).isoformat(),
        "reason": kind,
        "instrument": "EUR_USD",
        "tradesClosed": [{"tradeID": trade_id, "price": price}],
    }


@pytest.fixture
def watch():
    stops = Stopwatch(limit_s=2.0)
    stops.learn(opened())
    stops.learn(stop("1.0950"))
    return stops


def test_a_touched_stop_that_is_executed_tells_latency_by_the_brokers_clock_and_slippage(watch):
    watch.quote(quote("1.0949", 10), 100.0)
    (executed,) = watch.learn(filled(seconds=10.25, price="1.0948"))
    assert executed.latency_ms == 250.0
    assert executed.slippage == Decimal("0.0002")
    assert watch.overdue(1000.0) == ()
    assert watch.live == 0


def test_a_touched_stop_is_overdue_once_its_time_is_over_and_is_called_missed_once(watch):
    watch.quote(quote("1.0950", 10), 100.0)
    assert watch.overdue(102.0) == ()
    (missed,) = watch.overdue(102.1)
    assert (missed.order.order_id, missed.touched_at, missed.price) == ("6", at(10), Decimal("1.0950"))
    assert watch.overdue(200.0) == (missed,)
    assert watch.miss("6")
    assert not watch.miss("6")
    assert (watch.overdue(200.0), watch.missed) == ((), (missed,))
    watch.learn(filled(seconds=30))
    assert watch.missed == ()
    assert not watch.miss("6")


def test_the_first_touch_counts_and_not_the_last(watch):
    watch.quote(quote("1.0949", 10), 100.0)
    watch.quote(quote("1.0940", 11), 101.5)
    assert [missed.touched_at for missed in watch.overdue(102.5)] == [at(10)]


@pytest.mark.parametrize("seconds", [0.5, 10])
def test_a_price_before_the_stop_was_set_and_one_of_another_market_touch_nothing(watch, seconds):
    watch.quote(quote("1.0900", 0.5), 100.0)
    watch.quote(quote("1.0900", seconds, "USD_JPY"), 100.0)
    assert watch.overdue(1000.0) == ()


def test_a_short_trades_stop_is_touched_by_the_ask():
    stops = Stopwatch(limit_s=2.0)
    stops.learn(opened(units="-1000"))
    stops.learn(stop("1.1050"))
    stops.quote(quote("1.1047", 10), 100.0)
    assert stops.overdue(1000.0) == ()
    stops.quote(quote("1.1048", 11), 1000.0)
    assert len(stops.overdue(1003.0)) == 1


def test_a_cancelled_stop_is_not_waited_for(watch):
    watch.quote(quote("1.0949", 10), 100.0)
    watch.learn({"type": "ORDER_CANCEL", "id": "8", "orderID": "6", "time": at(10.5).isoformat()})
    assert watch.overdue(1000.0) == ()


def test_an_account_is_taken_over_with_the_stops_that_it_has():
    stops = Stopwatch(limit_s=2.0)
    order = {"id": "6", "type": "STOP_LOSS", "tradeID": "5", "price": "1.0950", "createTime": at(1).isoformat()}
    trailing = {
        "id": "7",
        "type": "TRAILING_STOP_LOSS",
        "tradeID": "5",
        "distance": "0.1",
        "createTime": at(1).isoformat(),
    }
    trade = {"id": "5", "instrument": "EUR_USD", "currentUnits": "1000"}
    stops.begin({"trades": [trade], "orders": [order, trailing]})
    assert (stops.live, stops.instruments) == (1, frozenset({"EUR_USD"}))
    stops.quote(quote("1.0949", 10), 100.0)
    assert len(stops.overdue(103.0)) == 1


def test_after_a_gap_in_the_prices_no_stop_is_called_missed_for_what_was_seen_before_it(watch):
    watch.quote(quote("1.0949", 10), 100.0)
    assert [order.order_id for order in watch.forget_touches(101.0)] == ["6"]
    assert watch.overdue(1000.0) == ()
    watch.quote(quote("1.0949", 40), 130.0)
    assert len(watch.overdue(133.0)) == 1


def quoted(seconds):
    """The price that a fill was made at, as the broker tells it with the fill."""
    return {"fullPrice": {"timestamp": at(seconds).isoformat()}}


def test_a_stop_that_is_executed_before_its_price_comes_is_timed_by_the_price_of_its_fill(watch):
    watch.quote(quote("1.0960", 9), 100.0)
    (executed,) = watch.learn(filled(seconds=10.25, **quoted(10)))
    assert (executed.latency_ms, executed.timed) == (250.0, True)


def test_a_fill_alone_tells_not_when_its_stop_was_touched(watch):
    watch.quote(quote("1.0960", 9), 100.0)
    assert not watch.learn(filled(seconds=10))[0].timed


def executed_at_40(watch):
    (executed,) = watch.learn(filled(seconds=40, **quoted(40)))
    return executed


def test_a_stop_whose_touch_was_forgotten_is_timed_by_no_later_price(watch):
    watch.quote(quote("1.0960", 9), 100.0)
    watch.quote(quote("1.0949", 10), 101.0)
    watch.forget_touches(102.0)
    watch.quote(quote("1.0960", 30), 120.0)
    watch.quote(quote("1.0949", 39.9), 129.9)
    assert not executed_at_40(watch).timed


@pytest.mark.parametrize("prices", [(), ("1.0949",)], ids=["no price", "a price beyond it"])
@pytest.mark.parametrize("away", ["since the start", "for a while", "and set meanwhile"])
def test_a_stop_that_may_have_been_touched_while_no_price_was_seen_is_not_timed(away, prices):
    watch = Stopwatch(limit_s=2.0)
    watch.learn(opened())
    if away != "since the start":
        watch.quote(quote("1.0960", 1), 100.0)
    if away == "and set meanwhile":
        watch.look_away()
    watch.learn(stop("1.0950"))
    if away == "for a while":
        watch.quote(quote("1.0960", 9), 100.0)
        watch.look_away()
    for price in prices:
        watch.quote(quote(price, 39.9), 129.9)
    assert not executed_at_40(watch).timed


def test_after_a_price_that_does_not_reach_it_a_stop_is_timed_again(watch):
    watch.look_away()
    watch.quote(quote("1.0960", 30), 120.0)
    watch.quote(quote("1.0949", 39.9), 129.9)
    executed = executed_at_40(watch)
    assert (executed.latency_ms, executed.timed) == (100.0, True)


def test_a_stop_that_is_missed_stays_so_through_a_gap_in_the_prices_and_when_the_account_is_read_again(watch):
    watch.quote(quote("1.0949", 10), 100.0)
    assert watch.forget_touches(103.0) == (), "its time was over"
    assert watch.miss("6")
    assert watch.forget_touches(104.0) == ()
    assert [one.order.order_id for one in watch.missed] == ["6"]
    order = {"id": "6", "type": "STOP_LOSS", "tradeID": "5", "price": "1.0950", "createTime": at(1).isoformat()}
    trade = {"id": "5", "instrument": "EUR_USD", "currentUnits": "1000"}
    again, gone = Stopwatch(limit_s=2.0), Stopwatch(limit_s=2.0)
    again.begin({"trades": [trade], "orders": [order]}, watch.missed)
    gone.begin({}, watch.missed)
    assert (again.missed, gone.missed) == (watch.missed, ())
    assert again.overdue(1e9) == (), "it was told"


@given(st.lists(st.tuples(st.integers(10_900, 11_100), st.booleans()), max_size=40))
def test_exactly_the_stops_that_a_price_reached_and_no_fill_followed_are_overdue(steps):
    """Against a model: the stop at 1.0950 is missed when a bid at or below it came before a fill."""
    stops = Stopwatch(limit_s=1.0)
    stops.learn(opened())
    stops.learn(stop("1.0950"))
    touched = over = False
    for second, (pips, fills) in enumerate(steps, start=2):
        stops.quote(quote(f"{pips / 10_000:.4f}", second), float(second))
        touched = touched or (not over and pips <= 10_950)
        if fills and touched and not over:
            stops.learn(filled(seconds=second + 0.1))
            over = True
    assert bool(stops.overdue(1e9)) == (touched and not over)
