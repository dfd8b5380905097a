"""One relation in one Parquet file, every number kept exactly or refused by name."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audits.contract import Kind, Relation

SCALE = 18  # DECIMAL(38, 18): prices and conversion rates to 18 decimals, money up to 10^20

_ARROW = {
    Kind.TEXT: pa.string(),
    Kind.JSON: pa.string(),
    Kind.EXACT: pa.decimal128(38, SCALE),
    Kind.COUNT: pa.int64(),
    Kind.MOMENT: pa.timestamp("us", tz="UTC"),
}


class SnapshotUnreadable(Exception):  # noqa: N818  reads as what is wrong
    """A value cannot be kept exactly, a row is missing, or a file is not what was sealed; one sentence names it."""


@dataclass(frozen=True, slots=True)
class RelationFile:
    """One sealed file: rows, SHA-256 of its bytes, and its columns as `[name, kind, nullable]`."""

    file: str
    rows: int
    sha256: str
    columns: tuple[tuple[str, str, bool], ...]


def write_relation(directory: Path, relation: Relation, batches: Iterable[Sequence[tuple[Any, ...]]]) -> RelationFile:
    """Write rows to `<relation>.parquet`; raises SnapshotUnreadable, naming the row, for a value not kept exactly."""
    schema = pa.schema([pa.field(column.name, _ARROW[column.kind]) for column in relation.columns])
    path = directory / f"{relation.name}.parquet"
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            if batch:
                writer.write_table(_table(relation, batch, schema))
                rows += len(batch)
    columns = tuple((column.name, column.kind.value, column.nullable) for column in relation.columns)
    return RelationFile(path.name, rows, sha256_of(path), columns)


def _table(relation: Relation, batch: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    arrays = []
    for index, column in enumerate(relation.columns):
        values = [row[index] for row in batch]
        if not column.nullable and None in values:
            key = batch[values.index(None)][0]
            raise SnapshotUnreadable(f"{relation.name}.{column.name} of {relation.key} {key} is null.")
        if column.kind is Kind.EXACT:
            _demand_exact(relation, column.name, batch, values)
        try:
            arrays.append(pa.array(values, _ARROW[column.kind]))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise SnapshotUnreadable(f"{relation.name}.{column.name} cannot be kept as it is: {error}.") from error
    return pa.table(arrays, schema=schema)


def _demand_exact(
    relation: Relation, column: str, batch: Sequence[tuple[Any, ...]], values: Sequence[Decimal | None]
) -> None:
    for row, value in zip(batch, values, strict=True):
        if value is not None and not _fits(value):
            raise SnapshotUnreadable(
                f"{relation.name}.{column} of {relation.key} {row[0]} is {value}, which does not fit exactly into "
                f"{38 - SCALE} digits before and {SCALE} after the point."
            )


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


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
