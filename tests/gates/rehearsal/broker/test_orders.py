"""Reasons for which the broker rejects or cancels, and how weak its idempotency is."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.rehearsal.broker.account import Account, Batch
from gates.rehearsal.broker.commands import place_order
from gates.rehearsal.broker.market import Price
from gates.rehearsal.broker.orders import ENTRIES, PROTECTIONS
from gates.rehearsal.broker.triggers import tick

from .test_balance import START, assert_books_are_right, new_account

MARKET = {"type": "MARKET", "instrument": "EUR_USD", "units": "1000"}
LIMIT = {"type": "LIMIT", "instrument": "EUR_USD", "units": "1000", "price": "1.09000"}


def place(account: Account, **order: Any) -> dict[str, Any]:
    return place_order(Batch(account, START), order).parts


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"units": None}, "UNITS_MISSING"),
        ({"units": "0"}, "UNITS_INVALID"),
        ({"units": "nan"}, "UNITS_INVALID"),
        ({"units": "0.5"}, "UNITS_PRECISION_EXCEEDED"),
        ({"units": "100000001"}, "UNITS_LIMIT_EXCEEDED"),
        ({"instrument": None}, "INSTRUMENT_MISSING"),
        ({"instrument": "XAU_USD"}, "INSTRUMENT_UNKNOWN"),
        ({"timeInForce": "GTC"}, "TIME_IN_FORCE_INVALID"),
        ({"positionFill": "SOMEHOW"}, "ORDER_FILL_POSITION_ACTION_INVALID"),
        ({"stopLossOnFill": {}}, "STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_MISSING"),
        (
            {"stopLossOnFill": {"price": "1.1", "distance": "0.1"}},
            "STOP_LOSS_ON_FILL_PRICE_AND_DISTANCE_BOTH_SPECIFIED",
        ),
        ({"takeProfitOnFill": {"price": "1.1000001"}}, "TAKE_PROFIT_ON_FILL_PRICE_PRECISION_EXCEEDED"),
        ({"trailingStopLossOnFill": {"timeInForce": "GTC"}}, "TRAILING_STOP_LOSS_ON_FILL_PRICE_DISTANCE_MISSING"),
        ({"type": "LIMIT", "price": None}, "PRICE_MISSING"),
        ({"type": "LIMIT", "price": "1.09", "timeInForce": "GTD"}, "TIME_IN_FORCE_GTD_TIMESTAMP_MISSING"),
        ({"type": "STOP_LOSS", "tradeID": "99", "price": "1"}, "TRADE_DOESNT_EXIST"),
    ],
)
def test_a_bad_order_is_rejected_with_its_reason_and_leaves_nothing(change: dict[str, Any], reason: str) -> None:
    account = new_account()
    parts = place(account, **{**MARKET, **change})
    assert parts["errorCode"] == reason
    assert parts["orderRejectTransaction"].fields["rejectReason"] == reason
    assert not account.pending
    assert not account.open


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"units": "5000000"}, "INSUFFICIENT_MARGIN"),
        ({"priceBound": "1.09000"}, "BOUNDS_VIOLATION"),
        ({"stopLossOnFill": {"price": "1.10500"}}, "STOP_LOSS_ON_FILL_LOSS"),
        ({"stopLossOnFill": {"distance": "0.00005"}}, "STOP_LOSS_ON_FILL_LOSS"),
        ({"takeProfitOnFill": {"price": "1.09000"}}, "TAKE_PROFIT_ON_FILL_LOSS"),
    ],
)
def test_an_order_that_cannot_be_filled_is_cancelled_with_its_reason(change: dict[str, Any], reason: str) -> None:
    account = new_account()
    parts = place(account, **{**MARKET, **change})
    assert parts["orderCancelTransaction"].fields["reason"] == reason
    assert "orderFillTransaction" not in parts
    assert not account.open


def test_a_client_order_id_is_only_refused_while_the_other_order_is_pending() -> None:
    account = new_account()
    mine = {"clientExtensions": {"id": "mine"}}
    assert "orderFillTransaction" in place(account, **MARKET, **mine)
    assert "orderFillTransaction" in place(account, **MARKET, **mine)
    place(account, **LIMIT, **mine)
    assert place(account, **MARKET, **mine)["errorCode"] == "CLIENT_ORDER_ID_ALREADY_EXISTS"


def test_a_client_trade_id_is_refused_while_the_other_trade_is_open() -> None:
    account = new_account()
    mine = {"tradeClientExtensions": {"id": "mine"}}
    place(account, **MARKET, **mine)
    parts = place(account, **MARKET, **mine)
    assert parts["orderCancelTransaction"].fields["reason"] == "CLIENT_TRADE_ID_ALREADY_EXISTS"
    place(account, **{**MARKET, "units": "-1000"})
    assert "orderFillTransaction" in place(account, **MARKET, **mine)


def test_an_ioc_order_gets_what_there_is_and_a_fok_order_nothing() -> None:
    account = new_account()
    account.market.limit_next_fill("EUR_USD", Decimal(300))
    parts = place(account, **MARKET, timeInForce="IOC")
    assert parts["orderFillTransaction"].fields["units"] == 300
    assert parts["orderCancelTransaction"].fields["reason"] == "INSUFFICIENT_LIQUIDITY"
    account.market.limit_next_fill("EUR_USD", Decimal(300))
    parts = place(account, **MARKET, timeInForce="FOK")
    assert parts["orderCancelTransaction"].fields["reason"] == "INSUFFICIENT_LIQUIDITY"
    assert [trade.units for trade in account.open.values()] == [300]


def test_a_trailing_stop_follows_a_better_price_and_never_goes_back() -> None:
    account = new_account()
    place(account, **MARKET, trailingStopLossOnFill={"distance": "0.00100"})
    for bid in ("1.10200", "1.10150"):
        price = Price("EUR_USD", Decimal(bid), Decimal(bid) + Decimal("0.00012"), START)
        account.market.take(price)
        tick(account, price)
    order = next(iter(account.pending.values()))
    assert order.trailing_value == Decimal("1.10100")


def test_a_margin_closeout_closes_every_trade() -> None:
    account = new_account()
    place(account, **{**MARKET, "units": "2000000"})
    price = Price("EUR_USD", Decimal("1.08000"), Decimal("1.08012"), START)
    account.market.take(price)
    tick(account, price)
    assert not account.open
    assert account.transactions[-1].fields["reason"] == "MARKET_ORDER_MARGIN_CLOSEOUT"
    assert_books_are_right(account)


JSON = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.lists(st.text(max_size=3), max_size=2)
)
KEYS = st.sampled_from(
    ["instrument", "units", "price", "timeInForce", "gtdTime", "positionFill", "priceBound", "tradeID"]
)


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from([*ENTRIES, *PROTECTIONS]), wild=st.dictionaries(KEYS, JSON), seen=st.booleans())
def test_no_request_breaks_the_broker(kind: str, wild: dict[str, Any], seen: bool) -> None:
    account = new_account()
    base = LIMIT if seen else {}
    before = account.last_id
    place_order(Batch(account, START), {**base, **wild, "type": kind})
    assert account.last_id > before
    assert_books_are_right(account)
