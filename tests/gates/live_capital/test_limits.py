"""Each limit of a plan is found broken exactly where it is, and a target within all of them is left alone."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.live_capital.limits import (
    AMOUNT,
    DAILY,
    END,
    INSTRUMENT,
    MARGIN,
    RATE,
    SIZE,
    TOTAL,
    Money,
    judge_capital,
    judge_money,
    judge_orders,
)
from gates.live_capital.terms import Terms

from .records import NOON, order

TERMS = Terms(Decimal(500), ("EUR_USD",), Decimal(100), 3, Decimal(20), Decimal(50), date(2026, 4, 1))


def rules(*transactions):
    return [found.rule for found in judge_orders(TERMS, transactions, 0).findings]


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def test_orders_within_every_limit_are_left_alone():
    assert rules(order(1), order(2, "-100", at=at(10)), order(3, at=at(20))) == []


@pytest.mark.parametrize(
    ("placed", "rule"),
    [
        (order(1, instrument="USD_JPY"), INSTRUMENT),
        (order(1, "101"), SIZE),
        (order(1, "-101"), SIZE),
        (order(1, "101", kind="LIMIT_ORDER"), SIZE),
        (order(1, "101", kind="MARKET_ORDER_REJECT"), SIZE),
        ({"id": "1", "type": "MARGIN_CALL_ENTER", "time": NOON.isoformat()}, MARGIN),
        (order(1, kind="ORDER_FILL", reason="MARKET_ORDER_MARGIN_CLOSEOUT") | {"reason": "MARGIN_CLOSEOUT"}, MARGIN),
    ],
)
def test_each_limit_is_named_when_it_is_broken(placed, rule):
    assert rules(placed) == [rule]


def test_an_order_after_the_plans_last_day_breaks_it():
    late = NOON + timedelta(days=32)
    found = judge_orders(TERMS, [order(1, at=late)], 0).findings
    assert [each.rule for each in found] == [END]


def test_a_close_larger_than_an_order_may_be_is_no_larger_order():
    assert rules(order(1, "-500", reason="TRADE_CLOSE")) == []


def test_the_fourth_order_within_a_minute_breaks_a_limit_of_three():
    placed = [order(number, at=at(number * 10)) for number in range(1, 5)]
    assert rules(*placed) == [RATE]
    assert rules(*placed[:3], order(4, at=at(70))) == []  # the first was a whole minute before


def test_orders_of_the_look_before_count_towards_the_first_minute_and_are_not_judged_again():
    placed = [order(number, at=at(number * 10)) for number in range(1, 5)]
    seen = judge_orders(TERMS, placed, 3)
    assert (seen.count, seen.most_a_minute) == (1, 4)
    assert [found.rule for found in seen.findings] == [RATE]


@given(st.lists(st.integers(0, 240), max_size=60), st.integers(1, 10))
def test_the_most_orders_a_minute_are_those_of_the_busiest_minute(seconds, limit):
    moments = [at(second) for second in sorted(seconds)]
    terms = Terms(Decimal(500), ("EUR_USD",), Decimal(100), limit, Decimal(20), Decimal(50), date(2026, 4, 1))
    placed = [order(number, at=moment) for number, moment in enumerate(moments, start=1)]
    seen = judge_orders(terms, placed, 0)
    busiest = max((sum(m - timedelta(seconds=60) < other <= m for other in moments) for m in moments), default=0)
    broken = any(found.rule == RATE for found in seen.findings)
    assert broken == (seen.most_a_minute > limit)
    assert seen.most_a_minute == busiest or len(set(moments)) < len(moments)  # at one moment the order of ids counts


@pytest.mark.parametrize(
    ("nav", "broken"),
    [("500", []), ("480", []), ("479.9999", [DAILY]), ("450", [DAILY]), ("449.9999", [DAILY, TOTAL]), ("700", [])],
)
def test_a_loss_beyond_the_days_or_the_plans_is_found_to_the_last_digit(nav, broken):
    money = Money(Decimal(nav), day_nav=Decimal(500), plan_nav=Decimal(500))
    assert [found.rule for found in judge_money(TERMS, money)] == broken


def test_money_that_was_taken_out_is_not_lost_and_money_put_in_hides_no_loss():
    taken = Money(Decimal(400), Decimal(500), Decimal(500), moved_today=Decimal(-100), moved=Decimal(-100))
    hidden = Money(Decimal(500), Decimal(500), Decimal(500), moved_today=Decimal(60), moved=Decimal(60))
    assert judge_money(TERMS, taken) == ()
    assert [found.rule for found in judge_money(TERMS, hidden)] == [DAILY, TOTAL]


def test_an_account_with_more_than_the_plan_allows_is_refused():
    assert [found.rule for found in judge_capital(TERMS, Decimal("500.01"))] == [AMOUNT]
    assert judge_capital(TERMS, Decimal(500)) == ()
