"""Columns of the contract in Arrow: every value exactly as it was, or refused by the name of its row. Pure."""

import re
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from audits.contract import Column, Kind, Relation

SCALE = 18  # DECIMAL(38, 18): prices and conversion rates to 18 decimals, money up to 10^20
SAFE_DIGITS = 38  # Arrow's text to decimal wraps around silently above 2^128; 38 characters cannot get there

ARROW_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.JSON: pa.string(),
    Kind.EXACT: pa.decimal128(38, SCALE),
    Kind.COUNT: pa.int64(),
    Kind.MOMENT: pa.timestamp("us", tz="UTC"),
}

_WIDE = Context(prec=2 * SAFE_DIGITS)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


class SnapshotUnreadable(Exception):  # noqa: N818  reads as what is wrong
    """A value cannot be kept exactly, a row is missing, or a file is not what was sealed; one sentence names it."""


def schema_of(relation: Relation) -> pa.Schema:
    """Return the Arrow schema in which a relation is kept."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.kind]) for column in relation.columns])


def table_from_rows(relation: Relation, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Return rows of Python values as a table; raises SnapshotUnreadable, naming the row, for what is not exact."""
    keys = [row[0] for row in rows]
    arrays = []
    for index, column in enumerate(relation.columns):
        values = [row[index] for row in rows]
        _demand_no_null(relation, column, keys, values.index(None) if None in values else None)
        if column.kind is Kind.EXACT:
            for key, value in zip(keys, values, strict=True):
                if value is not None and not _fits(value):
                    raise _inexact(relation, column, key, value)
            values = [_short(value) for value in values]
        try:
            arrays.append(pa.array(values, ARROW_TYPES[column.kind]))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise _unkept(relation, column, error) from error
    return pa.table(arrays, schema=schema_of(relation))


def table_from_columns(relation: Relation, found: pa.Table) -> pa.Table:
    """Return a table with the contract's columns and types; texts are parsed, no number or time is ever rounded.

    Raises SnapshotUnreadable, naming column and row, for a null, a binary fraction, or a value not kept exactly.
    """
    keys = found.column(relation.key)
    arrays = []
    for column in relation.columns:
        values = found.column(column.name)
        first_null = pc.index(pc.is_null(values), True).as_py() if values.null_count else None
        _demand_no_null(relation, column, keys, first_null)
        arrays.append(_converted(relation, column, values, keys))
    return pa.table(arrays, schema=schema_of(relation))


def rows_of(relation: Relation, batch: Sequence[tuple[Any, ...]] | pa.Table) -> Sequence[tuple[Any, ...]]:
    """Return a batch as rows of Python values in the contract's order."""
    if not isinstance(batch, pa.Table):
        return batch
    table = table_from_columns(relation, batch)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _converted(relation: Relation, column: Column, values: pa.ChunkedArray, keys: pa.ChunkedArray) -> pa.ChunkedArray:
    wanted = ARROW_TYPES[column.kind]
    if values.type == wanted:
        return values
    if not _may_become(column.kind, values.type):
        raise SnapshotUnreadable(f"{relation.name}.{column.name} is {values.type}: {_ADVICE[column.kind]}.")
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if is_text and column.kind is Kind.EXACT and not _is_short(values):
        return _by_value(relation, column, values, keys)
    try:
        return pc.cast(values, wanted)
    except pa.ArrowInvalid as error:
        if is_text and column.kind is Kind.EXACT:
            return _by_value(relation, column, values, keys)
        raise _named(relation, column, values, keys) or _unkept(relation, column, error) from error


def _by_value(relation: Relation, column: Column, values: pa.ChunkedArray, keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Parse one number after the other: the slow way, for long numbers and for naming the one that does not fit."""
    numbers: list[Decimal | None] = []
    for index, text in enumerate(values.to_pylist()):
        number = Decimal(text) if text is not None and _NUMBER.fullmatch(text) else None
        if text is not None and (number is None or not _fits(number)):
            raise _inexact(relation, column, keys[index].as_py(), text)
        numbers.append(_short(number))
    return pa.chunked_array([pa.array(numbers, ARROW_TYPES[Kind.EXACT])])


def _named(
    relation: Relation, column: Column, values: pa.ChunkedArray, keys: pa.ChunkedArray
) -> SnapshotUnreadable | None:
    """Find the first value that cannot be cast."""
    for index in range(len(values)):
        try:
            pc.cast(values.slice(index, 1), ARROW_TYPES[column.kind])
        except pa.ArrowInvalid:
            shown = values[index].as_py()
            if column.kind is Kind.EXACT:
                return _inexact(relation, column, keys[index].as_py(), shown)
            return SnapshotUnreadable(
                f"{relation.name}.{column.name} of {relation.key} {keys[index].as_py()} is {shown!r}: "
                f"{_ADVICE[column.kind]}."
            )
    return None


_ADVICE = {
    Kind.TEXT: "make it text",
    Kind.JSON: "make it JSON text",
    Kind.EXACT: "make it an exact decimal, since a binary fraction is not exact",
    Kind.COUNT: "make it a whole number",
    Kind.MOMENT: "make it a time with its zone, to the microsecond at most",
}


def _may_become(kind: Kind, found: pa.DataType) -> bool:
    is_text = pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_null(found)
    if kind is Kind.MOMENT:
        return is_text or (pa.types.is_timestamp(found) and found.tz is not None)
    if kind in (Kind.EXACT, Kind.COUNT):
        return is_text or pa.types.is_decimal(found) or pa.types.is_integer(found)
    return is_text or (pa.types.is_integer(found) and kind is Kind.TEXT)


def _is_short(values: pa.ChunkedArray) -> bool:
    return (pc.max(pc.binary_length(values)).as_py() or 0) <= SAFE_DIGITS


def _demand_no_null(relation: Relation, column: Column, keys: Any, first: int | None) -> None:
    if first is None or column.nullable:
        return
    if column.name == relation.key:
        raise SnapshotUnreadable(f"{relation.name}.{column.name}, the key, is null in a row.")
    key = keys[first]
    key = key.as_py() if isinstance(key, pa.Scalar) else key
    raise SnapshotUnreadable(f"{relation.name}.{column.name} of {relation.key} {key} is null.")


def _inexact(relation: Relation, column: Column, key: Any, value: Any) -> SnapshotUnreadable:
    return SnapshotUnreadable(
        f"{relation.name}.{column.name} of {relation.key} {key} is {value}, which does not fit exactly into "
        f"{38 - SCALE} digits before and {SCALE} after the point."
    )


def _unkept(relation: Relation, column: Column, error: Exception) -> SnapshotUnreadable:
    return SnapshotUnreadable(f"{relation.name}.{column.name} cannot be kept as it is: {error}.")


def _fits(value: Decimal) -> bool:
    if not value.is_finite():
        return False
    if not value:
        return True
    _, digits, exponent = value.as_tuple()
    lowest = int(exponent)
    for digit in reversed(digits):  # zeros at the end carry no value
        if digit:
            break
        lowest += 1
    return lowest >= -SCALE and value.adjusted() < 38 - SCALE


def _short(value: Decimal | None) -> Decimal | None:
    """Drop idle zeros that Arrow would count as digits; the value stays the same."""
    if value is None or -int(value.as_tuple().exponent) <= SCALE:
        return value
    return value.quantize(Decimal(1).scaleb(-SCALE), context=_WIDE)
