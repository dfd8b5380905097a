"""Snapshots: the ledger and the broker's books of one moment, in sealed Parquet files that anyone can judge again."""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audits.broker_books import BrokerBooks, account_rows, trade_rows, transaction_rows
from audits.contract import BROKER_RELATIONS, BY_NAME, RELATIONS, Kind, Relation
from audits.sources import Broker, Ledger, LedgerMoment
from audits.tie import Booked, Tie, behind_ids
from audits.transactions import TransactionUnreadable

MANIFEST = "manifest.json"
SCHEMA = "wartest.snapshot/1"
SCALE = 18  # DECIMAL(38, 18): prices and conversion rates to 18 decimals, money up to 10^20
TIE_PAUSE_S = 0.1

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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole snapshot. `moment` is the ledger's, `last_transaction_id` the broker's ("" without a broker)."""

    directory: Path
    moment: datetime
    ledger: str
    broker: str
    last_transaction_id: str
    tie: Tie
    relations: dict[str, RelationFile]
    manifest_sha256: str

    @property
    def tied(self) -> bool:
        """Whether ledger and broker are of the same last transaction."""
        return self.tie.tied


def take_snapshot(
    ledger: Ledger,
    broker: Broker | None,
    directory: Path,
    *,
    relations: Sequence[Relation] = RELATIONS,
    tie_limit_s: float = 5.0,
) -> Snapshot:
    """Read ledger and broker into `directory`, which must not exist yet.

    1. Open one moment of the ledger, then read the broker: its account is never older than the ledger.
    2. Tied when no fill and no money lies between what the ledger has booked and the broker's last transaction; else
       close the moment, wait, and read both again until `tie_limit_s` has passed.
    3. Write every relation of that moment into a temporary directory, then the manifest, then move it into place.

    Raises LedgerUnreadable, the broker's exceptions, or SnapshotUnreadable; then nothing is left behind.
    """
    if directory.exists():
        raise SnapshotUnreadable(f"{directory} exists already: a snapshot is never written over another.")
    directory.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    books: BrokerBooks | None = None
    first_behind: tuple[str, ...] | None = None
    while True:
        waited_s = time.monotonic() - began
        with ledger.at_one_moment(relations) as moment:
            books = _read_broker(broker, books)
            behind = _behind(moment, relations, books)
            first_behind = behind if first_behind is None else first_behind
            if not behind or waited_s >= tie_limit_s or books is None:
                tie = Tie.judged(books is not None, first_behind, behind, waited_s)
                return _write(directory, _Reading(ledger, broker, moment, books, tie, tuple(relations)))
        time.sleep(TIE_PAUSE_S)


def load_snapshot(directory: Path) -> Snapshot:
    """Read a snapshot's manifest; raises SnapshotUnreadable when it is missing or not whole."""
    try:
        content = (directory / MANIFEST).read_bytes()
        manifest = json.loads(content)
        if manifest["schema"] != SCHEMA:
            raise SnapshotUnreadable(f"{directory / MANIFEST} has the schema {manifest['schema']!r}, not {SCHEMA!r}.")
        relations = {name: _relation_file(entry) for name, entry in manifest["relations"].items()}
        return Snapshot(
            directory=directory,
            moment=datetime.fromisoformat(manifest["moment"]),
            ledger=manifest["ledger"],
            broker=manifest["broker"],
            last_transaction_id=manifest["last_transaction_id"],
            tie=Tie.read(manifest["tie"]),
            relations=relations,
            manifest_sha256=hashlib.sha256(content).hexdigest(),
        )
    except OSError as error:
        raise SnapshotUnreadable(f"{directory} holds no snapshot that can be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotUnreadable(f"{directory / MANIFEST} is not a whole manifest ({error!r}).") from error


def sealed_file(snapshot: Snapshot, relation: str) -> Path:
    """Return the path of a relation's file after comparing its bytes with the seal.

    Raises SnapshotUnreadable when the file is missing or has changed by a single byte.
    """
    entry = snapshot.relations[relation]
    path = snapshot.directory / entry.file
    try:
        measured = _sha256(path)
    except OSError as error:
        raise SnapshotUnreadable(f"{path} cannot be read: {error.strerror}.") from error
    if measured != entry.sha256:
        raise SnapshotUnreadable(f"{path} has changed since it was sealed: its SHA-256 is not the manifest's.")
    return path


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one snapshot is written from."""

    ledger: Ledger
    broker: Broker | None
    moment: LedgerMoment
    books: BrokerBooks | None
    tie: Tie
    relations: tuple[Relation, ...]


def _read_broker(broker: Broker | None, before: BrokerBooks | None) -> BrokerBooks | None:
    """Read the account, then the transactions up to its last; those read in an earlier round are kept."""
    if broker is None:
        return None
    account = broker.account()
    try:
        return BrokerBooks.at(account, broker, before)
    except TransactionUnreadable as error:
        raise SnapshotUnreadable(f"The broker's books cannot be read: {error}") from error


def _behind(moment: LedgerMoment, relations: Sequence[Relation], books: BrokerBooks | None) -> tuple[str, ...]:
    if books is None:
        return ()
    try:
        return behind_ids(Booked.at(moment, relations, books.account_id), books.transactions)
    except TransactionUnreadable as error:
        raise SnapshotUnreadable(f"The broker's books cannot be read: {error}") from error


def _write(directory: Path, reading: _Reading) -> Snapshot:
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        files = {relation.name: _write_ledger(temporary, relation, reading.moment) for relation in reading.relations}
        if reading.books is not None:
            files |= _write_broker(temporary, reading.books)
        (temporary / MANIFEST).write_text(json.dumps(_manifest(reading, files), indent=2) + "\n", "utf-8")
        temporary.chmod(0o755)
        temporary.rename(directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return load_snapshot(directory)


def _manifest(reading: _Reading, files: dict[str, RelationFile]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "moment": reading.moment.moment.astimezone(UTC).isoformat(),
        "ledger": reading.ledger.describe(),
        "broker": reading.broker.describe() if reading.broker else "",
        "last_transaction_id": reading.books.last_transaction_id if reading.books else "",
        "tied": reading.tie.tied,
        "tie": asdict(reading.tie),
        "relations": {name: asdict(entry) for name, entry in files.items()},
    }


def _write_ledger(directory: Path, relation: Relation, moment: LedgerMoment) -> RelationFile:
    """Write one relation and demand that as many rows came as were counted."""
    expected = moment.count(relation)
    written = write_relation(directory, relation, moment.rows(relation))
    if written.rows != expected:
        raise SnapshotUnreadable(f"{relation.name} has {expected} rows but {written.rows} came: the ledger cut short.")
    return written


def _write_broker(directory: Path, books: BrokerBooks) -> dict[str, RelationFile]:
    try:
        rows = (transaction_rows(books), trade_rows(books), account_rows(books))
    except TransactionUnreadable as error:
        raise SnapshotUnreadable(f"The broker's books cannot be read: {error}") from error
    return {
        relation.name: write_relation(directory, relation, (batch,))
        for relation, batch in zip(BROKER_RELATIONS, rows, strict=True)
    }


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
    return RelationFile(path.name, rows, _sha256(path), columns)


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


def _relation_file(entry: dict[str, Any]) -> RelationFile:
    name = str(entry["file"])
    if Path(name).name != name:
        raise SnapshotUnreadable(f"The manifest names a file outside of its directory: {name!r}.")
    columns = tuple((str(column), str(kind), bool(nullable)) for column, kind, nullable in entry["columns"])
    return RelationFile(name, int(entry["rows"]), str(entry["sha256"]), columns)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = [
    "BY_NAME",
    "RelationFile",
    "Snapshot",
    "SnapshotUnreadable",
    "load_snapshot",
    "sealed_file",
    "take_snapshot",
    "write_relation",
]
