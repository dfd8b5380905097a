"""Reading the target's books: one snapshot that lasts as long as the slot, and its rows."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from audits.contract import RELATIONS, Relation
from audits.increments import Marks, take_increment
from audits.snapshot import Snapshot, sealed_file, take_snapshot
from audits.sources.oanda import OandaReader
from gates.targets.access import Access
from gates.targets.ledgers import ledger_of

Row = dict[str, Any]


@contextmanager
def snapshot_of(access: Access, broker: OandaReader, relations: Sequence[Relation] = RELATIONS) -> Iterator[Snapshot]:
    """Hold a snapshot of the ledger's `relations` and of the broker's books for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="wartest-slot-") as folder:
        yield take_snapshot(ledger_of(access), broker, Path(folder) / "snapshot", relations=relations)


@contextmanager
def increment_of(access: Access, broker: OandaReader, marks: Marks) -> Iterator[Snapshot]:
    """Hold what was booked since `marks`, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="wartest-slot-") as folder:
        yield take_increment(ledger_of(access), broker, Path(folder) / "snapshot", marks=marks)


def rows_of(snapshot: Snapshot, relation: Relation, *, since: tuple[str, datetime] | None = None) -> list[Row]:
    """Return the relation's rows, those whose moment in the column `since` names is not before it."""
    filters = None if since is None else [(since[0], ">=", since[1])]
    rows: list[Row] = pq.read_table(sealed_file(snapshot, relation.name), filters=filters).to_pylist()
    return rows


def raw_of(snapshot: Snapshot, relation: Relation) -> list[Row]:
    """Return the broker's own records behind a relation of the broker."""
    return [json.loads(row["raw"]) for row in rows_of(snapshot, relation)]
