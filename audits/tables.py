"""Sealed files, or loose books, as tables of one in-memory database, beside the tables that several checks share."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

import duckdb
import pyarrow as pa

from audits.contract import BROKER_RELATIONS, BY_NAME, PRICE_RELATIONS, Kind, Relation
from audits.earnings import fill_earnings, make_earnings
from audits.loose import Loose
from audits.shared_tables import CHANGES, MACROS, NAMES, SHARED, VIEWS, needed
from audits.snapshot import Snapshot, sealed_file
from audits.touch_table import fill_touches, make_touches

MEMORY_LIMIT = "400MB"  # of DuckDB's buffers, the rest spills: with 10 M balance events the process peaks below 1 GiB
THREADS = 2

_TYPES = {
    Kind.TEXT: "VARCHAR",
    Kind.JSON: "VARCHAR",
    Kind.EXACT: "DECIMAL(38,18)",
    Kind.COUNT: "BIGINT",
    Kind.MOMENT: "TIMESTAMP WITH TIME ZONE",
}

_KINDS = ("TABLE", "VIEW")
_MAKERS = {"earnings": make_earnings, "touches": make_touches}
FILLERS = {"earnings": fill_earnings, "touches": fill_touches}


@dataclass(frozen=True, slots=True)
class Flaw:
    """What keeps a relation from being judged as it is. A usable one can still be looked through for findings."""

    sentence: str
    usable: bool


class Tables:
    """One open database over books of one moment. Several threads may use it, each with cursors of its own.

    `may_be_null` names the columns of a relation that may hold nulls, so that the others need not be looked through.
    `users` are the shared tables that each check will use: one that nobody uses any more is dropped. They are sound
    until a check of them could not be carried out.
    """

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        may_be_null: Callable[[str], set[str]],
        users: Iterable[Sequence[str]] = (),
    ) -> None:
        self.database = database
        self.is_sound = True
        self._may_be_null = may_be_null
        self._making = {name: Lock() for name in NAMES}
        self._made: set[str] = set()
        self._left = Counter(name for uses in users for name in needed(uses))
        self._flaws: dict[str, tuple[Flaw, ...]] = {}

    def make(self, names: Iterable[str]) -> None:
        """Make the shared tables that a check uses, and those that they are made from, each once."""
        for name in needed(names):
            with self._making[name]:
                if name not in self._made:
                    with self.database.cursor() as database:
                        create_shared(database, name)
                    self._made.add(name)

    def release(self, names: Iterable[str]) -> None:
        """Drop those of a check's shared tables that no other check will use; one that stays costs memory alone."""
        for name in reversed(needed(names)):
            with self._making[name]:
                self._left[name] -= 1
                if not self._left[name] and name in self._made:
                    with suppress(duckdb.Error), self.database.cursor() as database:
                        database.execute(f'DROP {_KINDS[name in VIEWS]} "{name}"')

    def cursor(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A session for one check."""
        return self.database.cursor()

    def asked(self, database: duckdb.DuckDBPyConnection, query: str) -> Sequence[tuple[Any, ...]]:
        """The rows that a query of a check gives, asked in its session."""
        return database.execute(query).fetchall()

    def may_find(self, _findings_sql: str) -> bool:
        """Whether the findings must be looked for: a cheaper look may have shown that there is none."""
        return True

    def flaws(self, name: str) -> tuple[Flaw, ...]:
        """Return the columns of a relation that have another type than the contract's, or nulls that it has not."""
        if name not in self._flaws:
            relation = BY_NAME[name]
            with self.database.cursor() as database:
                self._flaws[name] = self._wrong_types(database, relation) or tuple(self._nulls(database, relation))
        return self._flaws[name]

    def _wrong_types(self, database: duckdb.DuckDBPyConnection, relation: Relation) -> tuple[Flaw, ...]:
        described = database.execute(f'DESCRIBE "{relation.name}"').fetchall()
        measured = {row[0]: row[1] for row in described}
        return tuple(
            Flaw(f"{relation.name}.{column.name} is {measured.get(column.name, 'missing')}, not {wanted}", usable=False)
            for column in relation.columns
            if measured.get(column.name) != (wanted := _TYPES[column.kind])
        )

    def _nulls(self, database: duckdb.DuckDBPyConnection, relation: Relation) -> Iterator[Flaw]:
        """Columns with nulls where the contract has none."""
        suspected = self._may_be_null(relation.name)
        for column in relation.columns:
            if not column.nullable and column.name in suspected:
                query = f'SELECT count(*), count("{column.name}") FROM "{relation.name}"'  # noqa: S608
                rows, filled = database.execute(query).fetchone() or (0, 0)
                if rows and not filled:
                    words = f"{relation.name}.{column.name} is null in all {rows} rows: the ledger does not keep it"
                    yield Flaw(words, usable=False)
                elif filled < rows:
                    yield Flaw(f"{relation.name}.{column.name} is null in {rows - filled} rows", usable=True)


@contextmanager
def opened(snapshot: Snapshot, relations: Iterable[str] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory database whose views are the sealed files of these relations, or of all.

    It may spill to disk, but not fetch anything. Raises SnapshotUnreadable when a file is not what was sealed.
    """
    with empty_database() as database:
        for name in snapshot.relations if relations is None else relations:
            path = _quoted(str(sealed_file(snapshot, name)))
            database.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet({path})')  # noqa: S608
        yield database


@contextmanager
def judged_tables(snapshot: Snapshot, users: Iterable[Sequence[str]] = ()) -> Iterator[Tables]:
    """Open a whole snapshot for judging: what the broker's books lack is empty, `this` holds its moment and tie.

    `users` are the shared tables of each check that will release them.
    """
    with opened(snapshot) as database:
        _complete(database, set(snapshot.relations), snapshot.moment, tied=snapshot.tied)
        yield Tables(database, lambda name: _nulls_by_metadata(database, snapshot, name), users)


@contextmanager
def loose_tables(books: Loose, users: Iterable[Sequence[str]] = ()) -> Iterator[Tables]:
    """Open loose books for judging, otherwise as `judged_tables`."""
    with empty_database() as database:
        for name, table in books.relations.items():
            create_relation(database, BY_NAME[name])
            fill_relation(database, name, table)
        _complete(database, set(books.relations), books.moment, tied=books.tied)
        yield Tables(database, books.may_be_null, users)


def create_relation(database: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    """Create it empty, with the contract's types."""
    columns = ", ".join(f'"{column.name}" {_TYPES[column.kind]}' for column in relation.columns)
    database.execute(f'CREATE TABLE "{relation.name}" ({columns})')


def fill_relation(database: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    database.register("came", rows)
    database.execute(f'INSERT INTO "{name}" SELECT * FROM came')  # noqa: S608
    database.unregister("came")


def create_shared(database: duckdb.DuckDBPyConnection, name: str) -> None:
    """Create a shared table from those that are there."""
    if name in _MAKERS:
        _MAKERS[name](database)
    else:
        database.execute(f'CREATE {_KINDS[name in VIEWS]} "{name}" AS {SHARED[name]}')


@contextmanager
def empty_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database that may spill to disk, but not fetch anything."""
    with tempfile.TemporaryDirectory(prefix="wartest-audit-") as spill:
        database = duckdb.connect(config={"autoload_known_extensions": False, "autoinstall_known_extensions": False})
        try:
            database.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            database.execute(f"SET temp_directory = {_quoted(spill)}")
            database.execute(f"SET threads = {THREADS}")
            database.execute("SET GLOBAL TimeZone = 'UTC'")  # for every cursor
            database.execute(MACROS)
            yield database
        finally:
            database.close()


def _complete(database: duckdb.DuckDBPyConnection, there: set[str], moment: datetime, *, tied: bool) -> None:
    """Add what every check may use: empty relations for what the broker's books lack, `this`, and `changes`."""
    database.execute("SET threads = 1")  # of a query: several checks run at once, and none waits by spinning
    for relation in (*BROKER_RELATIONS, *PRICE_RELATIONS):
        if relation.name not in there:
            columns = ", ".join(f'NULL::{_TYPES[column.kind]} AS "{column.name}"' for column in relation.columns)
            database.execute(f'CREATE VIEW "{relation.name}" AS SELECT {columns} WHERE false')
    database.execute(
        "CREATE TABLE this AS SELECT ?::TIMESTAMPTZ AS moment, ?::BOOLEAN AS tied", [moment.isoformat(), tied]
    )
    database.execute(CHANGES)


def _nulls_by_metadata(database: duckdb.DuckDBPyConnection, snapshot: Snapshot, name: str) -> set[str]:
    """By the counts that a Parquet file keeps of itself."""
    with database.cursor() as counting:
        path = str(snapshot.directory / snapshot.relations[name].file)
        counted = counting.execute(
            "SELECT path_in_schema, sum(coalesce(stats_null_count, num_values)) FROM parquet_metadata(?) GROUP BY ALL",
            [path],
        ).fetchall()
    return {column for column, nulls in counted if nulls}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
