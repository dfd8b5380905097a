"""Broker records: exact numbers, times with zones, and which transactions move money."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from audits.transactions import TransactionUnreadable, change_of, exact, moment_of, number_of
from tests.audits.books import at


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:00:05.123456789Z",
        "2026-11-22T12:00:05.123456Z",
        "2026-11-22T13:00:05.123456999+01:00",
        "1795348805.123456789",
    ],
)
def test_a_time_is_utc_and_cut_below_the_microsecond(text: str) -> None:
    assert moment_of(text) == at(5.123456)
    assert moment_of(text).tzinfo is UTC


def test_times_without_a_fraction_or_before_1970_are_read() -> None:
    assert moment_of("2026-11-22T12:00:05Z") == at(5)
    assert moment_of("1795348805.5") == at(5.5)
    assert moment_of("1969-07-20T20:17:40Z") == datetime(1969, 7, 20, 20, 17, 40, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-22T12:00:05", "yesterday", "", "9" * 30])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(TransactionUnreadable):
        moment_of(text)


def test_numbers_stay_exact() -> None:
    record = {"id": "7", "pl": "-0.00010", "nothing": None}
    assert str(exact(record, "pl")) == "-0.00010"
    assert exact(record, "nothing") is exact(record, "missing") is None


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "", "1,5", 0.1, True, []])
def test_what_is_no_exact_number_is_named_with_its_record(value: object) -> None:
    with pytest.raises(TransactionUnreadable, match="pl of 7"):
        exact({"id": "7", "pl": value}, "pl")


@pytest.mark.parametrize("value", ["", "-1", "1.0", "²", "1" * 19, None])
def test_what_is_no_id_is_named(value: object) -> None:
    with pytest.raises(TransactionUnreadable):
        number_of({"id": value})


def test_commission_and_fees_are_taken_and_all_else_is_added() -> None:
    record = {
        "type": "ORDER_FILL",
        "pl": "10",
        "financing": "-0.5",
        "dividendAdjustment": "0.25",
        "commission": "2",
        "guaranteedExecutionFee": "0.125",
    }
    assert change_of(record) == Decimal("7.625")


def test_an_amount_counts_in_transfers_only() -> None:
    assert change_of({"type": "TRANSFER_FUNDS", "amount": "-500"}) == -500
    assert change_of({"type": "MARKET_ORDER", "amount": "-500"}) == 0
