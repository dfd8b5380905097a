from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.rehearsal.desk.booking import BookingStoppedError, cash_effect, moment, read_transaction

from .transactions import closing_fill, closing_part, funding, opening_fill

amounts = st.decimals(min_value=-9999, max_value=9999, places=4)


def test_nanoseconds_are_cut_to_microseconds():
    assert moment("2026-11-22T10:00:01.123456789Z") == datetime(2026, 11, 22, 10, 0, 1, 123456, tzinfo=UTC)
    assert moment("2026-11-22T10:00:01Z") == datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)


def test_a_funding_is_a_deposit():
    movement = read_transaction(funding(), currency="USD")
    assert [(part.event_type, part.amount) for part in movement.cash] == [("DEPOSIT", Decimal(100000))]


def test_a_withdrawal_keeps_its_sign():
    movement = read_transaction(funding(amount="-5.0000"), currency="USD")
    assert [(part.event_type, part.amount) for part in movement.cash] == [("WITHDRAWAL", Decimal(-5))]


def test_an_opening_fill_moves_no_money():
    movement = read_transaction(opening_fill(3, order=2, units="1000", balance="1"), currency="USD")
    assert movement.cash == ()
    assert movement.openings[0].conversion_rate == 1
    assert movement.openings[0].margin == Decimal(22)


def test_one_fill_may_close_reduce_and_pay_commission():
    fill = closing_fill(
        9,
        order=8,
        parts=[closing_part(3, units="-1000", pnl="-1.0000", financing="-0.0100")],
        balance="99998.4900",
        tradeReduced=closing_part(5, units="-500", pnl="-0.5000"),
        pl="-1.5000",
        financing="-0.0100",
        commission="0.0500",
    )
    movement = read_transaction(fill, currency="USD")
    assert [(part.event_type, part.amount, part.trade_id) for part in movement.cash] == [
        ("PNL_REALIZED", Decimal("-1.0000"), "3"),
        ("FINANCING", Decimal("-0.0100"), "3"),
        ("PNL_REALIZED", Decimal("-0.5000"), "5"),
        ("COMMISSION", Decimal("-0.0500"), None),
    ]


def test_losses_use_the_factor_for_losses():
    factors = {"gainQuoteHome": {"factor": "0.0066"}, "lossQuoteHome": {"factor": "0.0067"}}
    fill = closing_fill(
        9,
        order=8,
        parts=[closing_part(3, units="1", pnl="-1")],
        balance="1",
        pl="-1",
        homeConversionFactors=factors,
    )
    assert read_transaction(fill, currency="USD").closings[0].conversion_rate == Decimal("0.0067")


def test_an_unknown_type_that_moves_money_stops_the_booking():
    strange = funding() | {"type": "BONUS_PAYMENT"}
    with pytest.raises(BookingStoppedError, match="BONUS_PAYMENT"):
        read_transaction(strange, currency="USD")


def test_an_unknown_type_without_money_is_let_through():
    quiet = {"id": "4", "type": "CLIENT_CONFIGURE", "time": "2026-11-22T10:00:01Z"}
    assert read_transaction(quiet, currency="USD").cash == ()


def test_a_total_that_its_parts_do_not_explain_stops_the_booking():
    fill = closing_fill(9, order=8, parts=[closing_part(3, units="-1", pnl="-1")], balance="1", pl="-2")
    with pytest.raises(BookingStoppedError, match="explain"):
        read_transaction(fill, currency="USD")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "ten"])
def test_money_that_is_no_number_stops_the_booking(text):
    with pytest.raises(BookingStoppedError, match="not a decimal"):
        read_transaction(funding(amount=text), currency="USD")


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5), amounts.map(abs))
def test_the_cash_of_a_fill_adds_up_to_its_effect(parts, commission):
    fill = closing_fill(
        99,
        order=98,
        parts=[
            closing_part(number, units="-1", pnl=str(pnl), financing=str(financing))
            for number, (pnl, financing) in enumerate(parts, start=1)
        ],
        balance="0",
        pl=str(sum(pnl for pnl, _ in parts)),
        financing=str(sum(financing for _, financing in parts)),
        commission=str(commission),
    )
    movement = read_transaction(fill, currency="USD")
    assert sum(part.amount for part in movement.cash) == cash_effect(fill)
    assert all(part.amount for part in movement.cash)
