"""The balance equation over random orders: the broker's books are exact to the last digit."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.rehearsal.broker.account import Account, Batch, open_account
from gates.rehearsal.broker.commands import close_trade, place_order
from gates.rehearsal.broker.feed import Feed
from gates.rehearsal.broker.financing import charge_financing
from gates.rehearsal.broker.instruments import INSTRUMENTS
from gates.rehearsal.broker.market import Market, Price
from gates.rehearsal.broker.positions import close_position
from gates.rehearsal.broker.triggers import tick

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAMES = st.sampled_from(sorted(INSTRUMENTS))
UNITS = st.integers(-300_000, 300_000).filter(bool)
PIPS = st.integers(-30, 30)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("market"), NAMES, UNITS, PIPS, st.sampled_from(["FOK", "IOC"])),
        st.tuples(st.just("entry"), NAMES, UNITS, PIPS, st.sampled_from(["LIMIT", "STOP", "MARKET_IF_TOUCHED"])),
        st.tuples(st.just("tick"), NAMES, PIPS),
        st.tuples(st.just("close"), st.integers(0, 50), st.integers(1, 100_000)),
        st.tuples(st.just("flatten"), NAMES),
        st.tuples(st.just("night"), st.integers(1, 3)),
        st.tuples(st.just("thin"), NAMES, st.integers(0, 100_000)),
    ),
    max_size=40,
)


def market() -> Market:
    found = Market()
    for price in Feed(1, 1.0).opening(START):
        found.take(price)
    return found


def new_account(currency: str = "USD", commission: str = "0") -> Account:
    account = Account("101-001-0000001-001", currency, market(), START, commission_per_million=Decimal(commission))
    open_account(account, Decimal(50_000))
    return account


def carry_out(account: Account, step: tuple[Any, ...], now: datetime) -> None:
    match step:
        case ("market", name, units, pips, force):
            distance = INSTRUMENTS[name].pip * (abs(pips) + 5)
            order = {"type": "MARKET", "instrument": name, "units": str(units), "timeInForce": force}
            place_order(Batch(account, now), order | {"stopLossOnFill": {"distance": str(distance)}})
        case ("entry", name, units, pips, kind):
            level = INSTRUMENTS[name].price(account.market.price(name).mid + INSTRUMENTS[name].pip * pips)
            trailing = {"trailingStopLossOnFill": {"distance": str(INSTRUMENTS[name].pip * 7)}}
            order = {"type": kind, "instrument": name, "units": str(units), "price": str(level)}
            place_order(Batch(account, now), order | trailing)
        case ("tick", name, pips):
            old, move = account.market.price(name), INSTRUMENTS[name].pip * pips
            price = Price(name, old.bid + move, old.ask + move, now)
            account.market.take(price)
            tick(account, price)
        case ("close", nth, units) if account.open:
            trade = list(account.open.values())[nth % len(account.open)]
            close_trade(Batch(account, now), trade, {"units": str(units)})
        case ("flatten", name):
            close_position(Batch(account, now), name, {})
        case ("night", days):
            charge_financing(Batch(account, now), days)
        case ("thin", name, units):
            account.market.limit_next_fill(name, Decimal(units))


def assert_books_are_right(account: Account) -> None:
    balance = Decimal(0)
    for number, transaction in enumerate(account.transactions, start=1):
        fields = transaction.fields
        assert transaction.id == number
        assert transaction.batch_id <= transaction.id
        if transaction.type == "TRANSFER_FUNDS":
            balance += fields["amount"]
        if transaction.type == "ORDER_FILL":
            parts = [*(fields["tradesClosed"] or []), *([fields["tradeReduced"]] if fields["tradeReduced"] else [])]
            assert fields["pl"] == sum((part["realizedPL"] for part in parts), Decimal(0))
            opened = fields["tradeOpened"]["units"] if fields["tradeOpened"] else Decimal(0)
            assert fields["units"] == opened + sum((part["units"] for part in parts), Decimal(0))
            balance += fields["pl"] + fields["financing"] - fields["commission"] - fields["guaranteedExecutionFee"]
        if transaction.type == "DAILY_FINANCING":
            parts = [part for row in fields["positionFinancings"] for part in row["openTradeFinancings"]]
            assert fields["financing"] == sum((part["financing"] for part in parts), Decimal(0))
            balance += fields["financing"]
        if "accountBalance" in fields:
            assert fields["accountBalance"] == balance
            assert balance.as_tuple().exponent == -4
    assert account.balance == balance
    assert account.pl == sum((trade.realized for trade in account.trades.values()), Decimal(0))


@pytest.mark.parametrize("commission", ["0", "25"])
def test_every_balance_is_the_one_before_plus_what_its_transaction_says(commission: str) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=75, deadline=None)
    @given(steps=STEPS, currency=st.sampled_from(["USD", "EUR", "GBP", "JPY"]))
    def holds(steps: list[tuple[Any, ...]], currency: str) -> None:
        account = new_account(currency, commission)
        for number, step in enumerate(steps, start=1):
            carry_out(account, step, START + timedelta(seconds=number))
        assert_books_are_right(account)
        seen.update(transaction.type for transaction in account.transactions)

    holds()
    assert {"TRANSFER_FUNDS", "ORDER_FILL", "DAILY_FINANCING"} <= set(seen)


def test_no_order_outlives_its_trade_and_no_instrument_is_held_both_ways() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=100, deadline=None)
    @given(steps=STEPS)
    def holds(steps: list[tuple[Any, ...]]) -> None:
        account = new_account()
        for number, step in enumerate(steps, start=1):
            carry_out(account, step, START + timedelta(seconds=number))
        for order in account.pending.values():
            assert order.state == "PENDING"
            assert order.trade_id is None or account.trades[order.trade_id].is_open
            seen["entry waits" if order.trade_id is None else "stop waits"] += 1
        for name in INSTRUMENTS:
            assert len({trade.units > 0 for trade in account.open_in(name)}) <= 1
        for trade in account.trades.values():
            assert abs(trade.units) <= abs(trade.initial_units)
            assert trade.is_open == (trade.units != 0)
            seen["open" if trade.is_open else "closed"] += 1

    holds()
    assert set(seen) == {"entry waits", "stop waits", "open", "closed"}


def test_a_gain_in_yen_comes_home_at_the_ask_of_the_dollar() -> None:
    account = new_account()
    order = {"type": "MARKET", "instrument": "USD_JPY", "units": "10000"}
    place_order(Batch(account, START), order)
    account.market.take(Price("USD_JPY", Decimal("151.007"), Decimal("151.021"), START))
    trade = next(iter(account.open.values()))
    close_trade(Batch(account, START), trade, {})
    opened_at, factor = Decimal("150.007"), (1 / Decimal("151.021")).quantize(Decimal("1e-12"))
    expected = (10_000 * (Decimal("151.007") - opened_at) * factor).quantize(Decimal("0.0001"))
    assert account.pl == expected
    assert account.balance == Decimal(50_000) + expected


def test_the_same_seed_gives_the_same_prices() -> None:
    one, two, other = Feed(7, 1.0), Feed(7, 1.0), Feed(8, 1.0)
    first = [one.tick(START) for _ in range(20)]
    assert first == [two.tick(START) for _ in range(20)]
    assert first != [other.tick(START) for _ in range(20)]


def test_a_day_of_financing_is_the_rate_of_the_side_over_the_year() -> None:
    account = new_account()
    place_order(Batch(account, START), {"type": "MARKET", "instrument": "EUR_USD", "units": "10000"})
    booked = charge_financing(Batch(account, START))
    assert booked is not None
    assert booked.fields["financing"] == (Decimal(11_000) * Decimal("-0.0210") / 365).quantize(Decimal("0.0001"))
    assert charge_financing(Batch(new_account(), START)) is None
