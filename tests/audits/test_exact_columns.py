"""Columns in Arrow: every value as it was, or refused by the name of its row."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.contract import Column, Kind, Relation
from audits.exact_columns import SnapshotUnreadable, rows_of, table_from_rows
from tests.audits.books import at

PRICES = Relation(
    "prices",
    (
        Column("price_id", Kind.TEXT),
        Column("price", Kind.EXACT, nullable=True),
        Column("count", Kind.COUNT, nullable=True),
        Column("time", Kind.MOMENT, nullable=True),
    ),
)


def read(**columns: list[Any] | pa.Array) -> list[tuple[Any, ...]]:
    """One table with the columns given; the others are null."""
    size = len(next(iter(columns.values())))
    filled = {column.name: columns.get(column.name, [None] * size) for column in PRICES.columns}
    filled["price_id"] = columns.get("price_id", [f"k{number}" for number in range(size)])
    return list(rows_of(PRICES, pa.table(filled)))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20) + 1, max_value=10**20 - 1, places=18))
def test_every_number_that_fits_is_read_from_its_text(number: Decimal) -> None:
    assert read(price=[format(number, "f")])[0][1] == number


@given(st.integers(min_value=38, max_value=80), st.integers(min_value=1, max_value=9))
def test_a_number_with_too_many_digits_is_never_wrapped_round(digits: int, first: int) -> None:
    with pytest.raises(SnapshotUnreadable, match=r"prices\.price of price_id k0 is"):
        read(price=[str(first) + "0" * (digits - 1) + "1"])


@pytest.mark.parametrize("text", [str(2**128 + 1), "340282366920938463463.374607431768211457"])
def test_what_wraps_round_in_128_bits_is_refused(text: str) -> None:
    with pytest.raises(SnapshotUnreadable, match=f"k1 is {text}"):
        read(price=["1", text])


def test_idle_zeros_are_no_digits() -> None:
    assert read(price=["12.5" + "0" * 60, "1e5"])[0][1] == Decimal("12.5")


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-inf", "", " 1", "1_000", "１", "0x1", "1,5", "1e-19", "1e400", "1" * 21]
)
@pytest.mark.parametrize("beside", ["1", "1." + "0" * 50])
def test_what_is_no_exact_number_is_named(text: str, beside: str) -> None:
    with pytest.raises(SnapshotUnreadable, match=r"prices\.price of price_id k1 is"):
        read(price=[beside, text])


def test_a_binary_fraction_is_refused() -> None:
    with pytest.raises(SnapshotUnreadable, match="a binary fraction is not exact"):
        read(price=[0.5])


def test_other_exact_types_are_taken_as_they_are() -> None:
    wide = pa.array([Decimal("1.000000000000000000000000000000")], pa.decimal256(60, 30))
    assert read(price=wide)[0][1] == 1
    assert read(price=[7], count=pa.array([Decimal("3.00")]))[0][1:3] == (7, 3)
    with pytest.raises(SnapshotUnreadable, match=r"prices\.count of price_id k0"):
        read(count=["1.5"])


def test_times_keep_their_microseconds_and_need_a_zone() -> None:
    texts = ["2026-11-22 12:00:00.123456+00", "2026-11-22T13:00:00.123456+01:00", None]
    assert [row[3] for row in read(time=texts)] == [at(0.123456), at(0.123456), None]
    assert read(time=["1812-06-24T00:00:00Z"])[0][3].year == 1812
    for text in ("2026-11-22T12:00:00", "infinity", "2026-11-22T12:00:00.1234567Z", "yesterday"):
        with pytest.raises(SnapshotUnreadable, match=r"prices\.time of price_id k0 is"):
            read(time=[text])
    with pytest.raises(SnapshotUnreadable, match="its zone"):
        read(time=pa.array([0], pa.timestamp("us")))


def test_a_key_that_is_null_is_named_as_such() -> None:
    with pytest.raises(SnapshotUnreadable, match="the key, is null"):
        read(price_id=["a", None])


def test_idle_zeros_are_no_digits_in_rows_of_python_values_either() -> None:
    table = table_from_rows(PRICES, [("k0", Decimal("12.5" + "0" * 60), None, None)])
    assert table["price"][0].as_py() == Decimal("12.5")
