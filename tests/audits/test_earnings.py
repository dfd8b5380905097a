"""Profits are recomputed exactly, however many digits their factors have."""

from decimal import Context, Decimal

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.earnings import HALF_STEP, make_earnings
from audits.exact import product
from audits.shared_tables import MACROS

WIDE = st.decimals(min_value=-(10**19), max_value=10**19, places=18, allow_nan=False)
PRICES = st.decimals(min_value=0, max_value=200000, places=5, allow_nan=False)
RATES = st.decimals(min_value="0.001", max_value=200, places=12, allow_nan=False)
ODD = st.sampled_from([Decimal(0), HALF_STEP, -HALF_STEP, HALF_STEP + Decimal("1e-18"), Decimal("0.0001"), Decimal(-7)])
CLOSING = st.one_of(
    st.tuples(PRICES, PRICES, st.integers(1, 10**8).map(Decimal), RATES, ODD), st.tuples(WIDE, WIDE, WIDE, WIDE, ODD)
)

EXACTLY = Context(prec=80)

# entry price, exit price, units, conversion rate, what was booked beside the truth
Closing = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]


def earnings_of(closings: list[Closing]) -> tuple[dict[str, Decimal | None], dict[str, tuple[Decimal, Decimal | None]]]:
    """What each closing truly earned, and `earnings` as (booked, earned) by execution."""
    true: dict[str, Decimal | None] = {}
    with duckdb.connect() as database:
        database.execute(MACROS)
        money = "DECIMAL(38, 18)"
        database.execute(f"CREATE TABLE positions (position_id VARCHAR, units {money}, entry_price {money})")
        database.execute(
            "CREATE TABLE executions (execution_id VARCHAR, position_id VARCHAR, broker_transaction_id VARCHAR, "
            f"units {money}, price {money}, conversion_rate {money}, realized_pnl {money})"
        )
        for number, (entry, price, units, rate, off) in enumerate(closings):
            key, side = str(number), units or Decimal(1)
            true[key] = earned = product(EXACTLY.subtract(price, entry), side, rate)
            booked = EXACTLY.add(earned or Decimal(0), off)
            database.execute("INSERT INTO positions VALUES (?, ?, ?)", [key, side, entry])
            database.execute(
                "INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?)", [key, key, key, -side, price, rate, booked]
            )
        make_earnings(database)
        found = database.execute("SELECT execution_id, realized_pnl, earned FROM earnings").fetchall()
    return true, {key: (booked, earned) for key, booked, earned in found}


@settings(max_examples=40, deadline=None)
@given(st.lists(CLOSING, min_size=1, max_size=12))
def test_every_profit_more_than_half_a_step_beside_the_exact_product_is_kept_with_it(closings: list[Closing]) -> None:
    true, kept = earnings_of(closings)
    for number, (*_, off) in enumerate(closings):
        key = str(number)
        if true[key] is None or abs(off) > HALF_STEP:
            assert key in kept
        if key in kept:
            assert kept[key][1] == true[key]


def test_profits_that_are_right_are_not_kept() -> None:
    right = (Decimal("1.1"), Decimal("1.2"), Decimal(1000), Decimal("0.909090909091"), Decimal("0.00004"))
    assert earnings_of([right] * 3)[1] == {}


def test_a_product_of_more_digits_than_arrow_holds_is_compared_all_the_same() -> None:
    many = (
        Decimal("0.123456789012345678"),
        Decimal("1.123456789012345679"),
        Decimal(10**14),
        Decimal("1.5"),
        Decimal(1),
    )
    true, kept = earnings_of([many])
    assert true["0"] is not None
    assert kept["0"] == (EXACTLY.add(true["0"], 1), true["0"])
