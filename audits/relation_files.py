"""One relation in one Parquet file, every number kept exactly or refused by name."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audits.contract import Relation
from audits.exact_columns import SCALE, SnapshotUnreadable, schema_of, table_from_columns, table_from_rows

__all__ = ["SCALE", "Batch", "RelationFile", "SnapshotUnreadable", "seal_file", "sha256_of", "write_relation"]

# Rows in the contract's order, or an Arrow table with the contract's columns by name.
type Batch = Sequence[tuple[Any, ...]] | pa.Table


@dataclass(frozen=True, slots=True)
class RelationFile:
    """One sealed file: rows, SHA-256 of its bytes, and its columns as `[name, kind, nullable]`."""

    file: str
    rows: int
    sha256: str
    columns: tuple[tuple[str, str, bool], ...]


def write_relation(directory: Path, relation: Relation, batches: Iterable[Batch]) -> RelationFile:
    """Write rows to `<relation>.parquet`; raises SnapshotUnreadable, naming the row, for a value not kept exactly."""
    path = directory / f"{relation.name}.parquet"
    with pq.ParquetWriter(path, schema_of(relation), compression="zstd") as writer:
        for batch in batches:
            if len(batch):
                writer.write_table(_table(relation, batch))
    return seal_file(path, relation)


def seal_file(path: Path, relation: Relation) -> RelationFile:
    """Return the entry of a written file once its bytes have reached the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    columns = tuple((column.name, column.kind.value, column.nullable) for column in relation.columns)
    return RelationFile(path.name, int(pq.read_metadata(path).num_rows), sha256_of(path), columns)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _table(relation: Relation, batch: Batch) -> pa.Table:
    if isinstance(batch, pa.Table):
        return table_from_columns(relation, batch)
    return table_from_rows(relation, batch)
