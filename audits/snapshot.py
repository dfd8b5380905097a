"""Snapshots: the ledger and the broker's books of one moment, in sealed Parquet files that anyone can judge again."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audits.broker_books import BrokerBooks, broker_rows
from audits.broker_prices import PriceReading
from audits.contract import (
    BROKER_CANDLES,
    PRICE_SPANS,
    RELATIONS,
    Relation,
)
from audits.drafts import drafted
from audits.relation_files import RelationFile, SnapshotUnreadable, seal_file, sha256_of, write_relation
from audits.sources import Broker, Ledger, LedgerMoment, LedgerUnreadable, TellsGaps, WritesFiles
from audits.tie import Booked, Tie, behind_ids
from audits.transactions import TransactionUnreadable

MANIFEST = "manifest.json"
SCHEMA = "wartest.snapshot/1"
TIE_PAUSE_S = 0.1
BULK_ROWS = 50_000  # a smaller ledger is read faster row by row


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole snapshot. `moment` is the ledger's, `last_transaction_id` the broker's ("" without a broker).

    `age_s` is how long the ledger's moment was held open, `caveat` what a reader must know of it ("" where nothing).
    `made` are the columns that the ledger's views make up, which prove nothing.
    """

    directory: Path
    moment: datetime
    age_s: float
    caveat: str
    ledger: str
    broker: str
    last_transaction_id: str
    tie: Tie
    relations: dict[str, RelationFile]
    manifest_sha256: str
    made: tuple[str, ...] = ()

    @property
    def tied(self) -> bool:
        """Whether ledger and broker are of the same last transaction."""
        return self.tie.tied


def take_snapshot(  # noqa: PLR0913  two books, a place, and four choices with defaults
    ledger: Ledger,
    broker: Broker | Sequence[Broker] | None,
    directory: Path,
    *,
    relations: Sequence[Relation] = RELATIONS,
    tie_limit_s: float = 5.0,
    whole: bool = True,
    with_prices: bool = False,
) -> Snapshot:
    """Read ledger and broker into `directory`, which must not exist yet.

    `broker` is one account, one for each of several accounts, or None: then what compares with it is inconclusive.
    A relation or a demanded column that the ledger does not keep ends the reading, unless not `whole`: then the
    snapshot goes without it, and the checks that need it are inconclusive by its name.

    1. Open one moment of the ledger, then read the broker: its account is never older than the ledger.
    2. Tied when no fill and no money lies between what the ledger has booked and the broker's last transaction; else
       close the moment, wait, and read both again until `tie_limit_s` has passed.
    3. Write every relation of that moment into a temporary directory.
    4. Close the moment; with prices, ask the brokers who tell them for those of the time in which stops were live.
    5. Write the manifest, then move it all into place.

    Raises LedgerUnreadable, the broker's exceptions, or SnapshotUnreadable; then nothing is left behind.
    """
    if directory.exists():
        raise SnapshotUnreadable(f"{directory} exists already: a snapshot is never written over another.")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with drafted(directory, MANIFEST) as draft:
        with tied_reading(ledger, broker, relations, tie_limit_s=tie_limit_s, whole=whole) as reading:
            files = _write_ledger(draft, reading)
            if reading.books:
                files |= _write_broker(draft, reading.books)
            manifest = _manifest(reading)
        if with_prices:
            files |= _write_prices(draft, reading)
        manifest["relations"] = {name: asdict(entry) for name, entry in files.items()}
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    return load_snapshot(directory)


@contextmanager
def tied_reading(
    ledger: Ledger,
    broker: Broker | Sequence[Broker] | None,
    relations: Sequence[Relation],
    *,
    tie_limit_s: float,
    whole: bool = True,
) -> Iterator["Reading"]:
    """Steps 1 and 2 of `take_snapshot`: ledger and broker of one moment, the ledger's held open for the block."""
    brokers = _brokers(broker)
    began = time.monotonic()
    books: tuple[BrokerBooks, ...] = ()
    first_behind: tuple[str, ...] | None = None
    while True:
        waited_s = time.monotonic() - began
        with ledger.at_one_moment(relations) as moment:
            opened = time.monotonic()
            there = _there(moment, relations, whole=whole)
            books = _read_brokers(brokers, books)
            behind = _behind(moment, there, books)
            first_behind = behind if first_behind is None else first_behind
            if not behind or waited_s >= tie_limit_s:
                tie = Tie.judged(bool(books), first_behind, behind, waited_s)
                yield Reading(ledger, brokers, moment, opened, books, tie, there, whole)
                return
        time.sleep(TIE_PAUSE_S)


def _there(moment: LedgerMoment, relations: Sequence[Relation], *, whole: bool) -> tuple[Relation, ...]:
    """The relations that can be read. Raises LedgerUnreadable where one is not there and the whole is wanted."""
    lacks = moment.lacks if isinstance(moment, TellsGaps) else {}
    if whole and lacks:
        raise LedgerUnreadable(next(iter(lacks.values())))
    return tuple(relation for relation in relations if relation.name not in lacks)


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
            age_s=float(manifest["age_s"]),
            caveat=str(manifest["caveat"]),
            ledger=manifest["ledger"],
            broker=manifest["broker"],
            last_transaction_id=manifest["last_transaction_id"],
            tie=Tie.read(manifest["tie"]),
            relations=relations,
            manifest_sha256=hashlib.sha256(content).hexdigest(),
            made=tuple(str(column) for column in manifest.get("made", ())),
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
        measured = sha256_of(path)
    except OSError as error:
        raise SnapshotUnreadable(f"{path} cannot be read: {error.strerror}.") from error
    if measured != entry.sha256:
        raise SnapshotUnreadable(f"{path} has changed since it was sealed: its SHA-256 is not the manifest's.")
    return path


@dataclass(frozen=True, slots=True)
class Reading:
    """What one snapshot is made from."""

    ledger: Ledger
    brokers: tuple[Broker, ...]
    moment: LedgerMoment
    opened: float  # on the monotonic clock
    books: tuple[BrokerBooks, ...]
    tie: Tie
    relations: tuple[Relation, ...]
    whole: bool = True

    def kept(self, relation: Relation) -> Relation:
        """The relation, null allowed where the views say that the ledger keeps nothing, unless all is demanded."""
        told = self.moment.unkept if isinstance(self.moment, TellsGaps) and not self.whole else ()
        unkept = {column.partition(".")[2] for column in told if column.startswith(f"{relation.name}.")}
        return Relation(
            relation.name,
            tuple(replace(column, nullable=True) if column.name in unkept else column for column in relation.columns),
        )

    @property
    def made(self) -> tuple[str, ...]:
        """The columns of these relations that the ledger's views make up."""
        names = {relation.name for relation in self.relations}
        told = self.moment.made if isinstance(self.moment, TellsGaps) else ()
        return tuple(column for column in told if column.partition(".")[0] in names)


def _brokers(broker: Broker | Sequence[Broker] | None) -> tuple[Broker, ...]:
    if broker is None:
        return ()
    return tuple(broker) if isinstance(broker, Sequence) else (broker,)


def _read_brokers(brokers: tuple[Broker, ...], before: tuple[BrokerBooks, ...]) -> tuple[BrokerBooks, ...]:
    """Read each account, then the transactions up to its last; those read in an earlier round are kept."""
    try:
        return tuple(
            BrokerBooks.at(broker.account(), broker, before[index] if before else None)
            for index, broker in enumerate(brokers)
        )
    except TransactionUnreadable as error:
        raise SnapshotUnreadable(f"The broker's books cannot be read: {error}") from error


def _behind(moment: LedgerMoment, relations: Sequence[Relation], books: tuple[BrokerBooks, ...]) -> tuple[str, ...]:
    try:
        return tuple(
            number
            for each in books
            for number in behind_ids(Booked.at(moment, relations, each.account_id), each.transactions)
        )
    except TransactionUnreadable as error:
        raise SnapshotUnreadable(f"The broker's books cannot be read: {error}") from error


def _manifest(reading: Reading) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "moment": reading.moment.moment.astimezone(UTC).isoformat(),
        "age_s": round(time.monotonic() - reading.opened, 3),
        "caveat": reading.moment.caveat,
        "ledger": reading.ledger.describe(),
        "broker": "; ".join(broker.describe() for broker in reading.brokers),
        "last_transaction_id": ", ".join(books.last_transaction_id for books in reading.books),
        "made": list(reading.made),
        "tied": reading.tie.tied,
        "tie": asdict(reading.tie),
    }


def _write_ledger(directory: Path, reading: Reading) -> dict[str, RelationFile]:
    """Write the relations, large ones in bulk, and demand that as many rows came as were counted."""
    moment = reading.moment
    counts = {reading.kept(relation): moment.count(relation) for relation in reading.relations}
    large = isinstance(moment, WritesFiles) and sum(counts.values()) >= BULK_ROWS
    in_bulk = large and isinstance(moment, WritesFiles) and moment.write_files(directory, counts)
    files = {}
    for relation, expected in counts.items():
        if in_bulk:
            written = seal_file(directory / f"{relation.name}.parquet", relation)
        else:
            written = write_relation(directory, relation, moment.rows(relation))
        demand_whole(relation, expected, written.rows)
        files[relation.name] = written
    return files


def demand_whole(relation: Relation, expected: int, came: int) -> None:
    """Raise SnapshotUnreadable unless as many rows came as were counted."""
    if came != expected:
        raise SnapshotUnreadable(f"{relation.name} has {expected} rows but {came} came: the ledger cut short.")


def _write_broker(directory: Path, books: tuple[BrokerBooks, ...]) -> dict[str, RelationFile]:
    return {
        relation.name: write_relation(directory, relation, batches) for relation, batches in broker_rows(books).items()
    }


def _write_prices(directory: Path, reading: Reading) -> dict[str, RelationFile]:
    """Write what the brokers tell of prices while stops were live; nothing where no stop was, or none tells any."""
    prices = PriceReading(reading.brokers, reading.books, reading.opened)
    if not prices.wanted:
        return {}
    return {
        BROKER_CANDLES.name: write_relation(directory, BROKER_CANDLES, prices.candle_rows()),
        PRICE_SPANS.name: write_relation(directory, PRICE_SPANS, [prices.span_rows()]),
    }


def _relation_file(entry: dict[str, Any]) -> RelationFile:
    name = str(entry["file"])
    if Path(name).name != name:
        raise SnapshotUnreadable(f"The manifest names a file outside of its directory: {name!r}.")
    columns = tuple((str(column), str(kind), bool(nullable)) for column, kind, nullable in entry["columns"])
    return RelationFile(name, int(entry["rows"]), str(entry["sha256"]), columns)
