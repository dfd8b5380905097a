from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gates.checks.margin import ROUNDING, margin_findings

TRADES = [
    {
        "id": "7",
        "instrument": "EUR_USD",
        "currentUnits": "500",
        "initialUnits": "1000",
        "marginUsed": "11.0000",
        "initialMarginRequired": "20.0000",
    },
    {
        "id": "9",
        "instrument": "USD_JPY",
        "currentUnits": "1000",
        "initialUnits": "1000",
        "marginUsed": "20.0000",
        "initialMarginRequired": "20.0000",
    },
]
BROKER = {"marginUsed": "31.0000", "trades": TRADES}
SPANS = {"7": Decimal("0.01"), "9": Decimal(0)}


def found(*, used, positions=(), account=BROKER, spans=SPANS):
    books = {"account_id": "a", "margin_used": None if used is None else Decimal(used)}
    rows = [
        {"position_id": f"p{trade}", "broker_trade_id": trade, "margin_used": margin} for trade, margin in positions
    ]
    return [(finding.rule, finding.difference) for finding in margin_findings(books, rows, account, spans)]


@given(st.decimals("-0.01", "0.01", places=6))
def test_a_margin_that_prices_explain_is_no_finding(moved):
    assert not found(used=Decimal(31) / (1 + abs(moved)) if moved < 0 else Decimal(31) * (1 + moved))


def test_a_margin_that_prices_do_not_explain_is_a_finding_on_either_side():
    assert found(used="31.3111") == [("margin used", "0.3111")]
    assert found(used="30.6919") == [("margin used", "-0.3081")]


def test_without_an_open_trade_the_margin_is_exactly_zero():
    flat = {"marginUsed": "0.0000", "trades": []}
    assert not found(used="0", account=flat, spans={})
    assert found(used="0.0001", account=flat, spans={}) == [("margin used", "0.0001")]
    assert found(used="0") == [("margin used", "-31.0000")]


def test_a_position_may_hold_what_the_broker_uses_now_or_the_open_share_of_what_it_reserved():
    assert not found(used="31", positions=[("7", Decimal("11.05")), ("7", Decimal("10.001")), ("9", Decimal(20))])
    assert found(used="31", positions=[("7", Decimal(20))]) == [("position margin", "9.0000")]
    assert found(used="31", positions=[("9", Decimal(20) + 2 * ROUNDING)]) == [("position margin", "0.0020")]


def test_what_is_not_kept_or_not_open_is_left_to_others():
    assert not found(used=None, positions=[("7", None), ("8", Decimal(99))])
