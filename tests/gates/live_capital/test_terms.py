"""A plan of capital says every limit, and each of them limits something; whatever else is refused in one sentence."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.live_capital.terms import BadTermsError, read_terms

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = {
    "amount": "500",
    "instruments": "eur_usd, GBP_USD",
    "order_size": "1000",
    "orders_per_minute": "10",
    "daily_loss": "25.50",
    "total_loss": "100",
    "ends_on": "2026-04-30",
}


def test_a_whole_plan_is_read():
    terms = read_terms(GOOD, NOW)
    assert terms.instruments == ("EUR_USD", "GBP_USD")
    assert (terms.amount, terms.daily_loss, terms.orders_per_minute) == (Decimal(500), Decimal("25.50"), 10)


@pytest.mark.parametrize("name", sorted(GOOD))
@pytest.mark.parametrize("value", ["", "   ", None])
def test_a_limit_that_is_missing_is_refused_by_name(name, value):
    with pytest.raises(BadTermsError, match=r"lacks .*: without a limit nothing is limited"):
        read_terms(GOOD | {name: value}, NOW)


@pytest.mark.parametrize("name", ["amount", "order_size", "orders_per_minute", "daily_loss", "total_loss"])
@pytest.mark.parametrize("value", ["-1", "0", "-0.01", "NaN", "inf", "-Infinity", "ten", "1e30", "1e999999", "1,5"])
def test_a_limit_that_is_negative_or_no_number_is_refused(name, value):
    with pytest.raises(BadTermsError) as refusal:
        read_terms(GOOD | {name: value}, NOW)
    assert str(refusal.value).count("\n") == 0
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount": "99.99"}, "for 100 to 500 USD"),
        ({"amount": "500.01"}, "up to 500"),
        ({"amount": "100.001"}, "two decimals"),
        ({"daily_loss": "101"}, "must not be above the total loss"),
        ({"amount": "100", "total_loss": "101"}, "nor that above the amount"),
        ({"orders_per_minute": "1.5"}, "whole number"),
        ({"orders_per_minute": "601"}, "from 1 to 600"),
        ({"instruments": "EURUSD"}, "write them as EUR_USD"),
        ({"instruments": "'; DROP TABLE"}, "is no instrument"),
        ({"instruments": ", ".join(f"AA{n}_USD" for n in range(21))}, "at most 20"),
        ({"ends_on": "2026-02-28"}, "from today on"),
        ({"ends_on": "2036-03-01"}, "within 366 days"),
        ({"ends_on": "31.12.2026"}, "write it as 2026-12-31"),
    ],
)
def test_what_limits_nothing_or_cannot_be_is_refused(change, words):
    with pytest.raises(BadTermsError, match=words):
        read_terms(GOOD | change, NOW)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.text(max_size=30)))
def test_whatever_a_form_sends_is_a_plan_or_one_sentence(change):
    try:
        terms = read_terms(GOOD | change, NOW)
    except BadTermsError:
        return
    assert 100 <= terms.amount <= 500
    assert 0 < terms.daily_loss <= terms.total_loss <= terms.amount
    assert terms.order_size > 0
    assert terms.instruments
