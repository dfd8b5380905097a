"""A ledger in PostgreSQL, read as of one moment and never written.

One connection opens a REPEATABLE READ, READ ONLY transaction and exports its snapshot; whatever else reads a large
ledger joins that snapshot, so that every relation shows the same state.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg import IsolationLevel

from audits.contract import Column, Kind, Relation
from audits.sources import MADE, UNKEPT, LedgerUnreachable, LedgerUnreadable
from audits.sources.hiding import without_secrets
from audits.sources.postgres_moment import OUR_NAME, Opened, PostgresMoment, Seen

MAX_AGE_S = 600.0  # a moment held open keeps the server's vacuum from cleaning up

_NUMBERS = frozenset({"numeric", "bigint", "integer", "smallint"})
_READABLE: dict[Kind, frozenset[str]] = {
    Kind.EXACT: _NUMBERS,
    Kind.COUNT: _NUMBERS,
    Kind.MOMENT: frozenset({"timestamp with time zone"}),
}
_ADVICE = {
    Kind.EXACT: "make it numeric, since a binary fraction is not exact",
    Kind.COUNT: "make it a whole number",
    Kind.MOMENT: "make it timestamptz, since a time without a zone is ambiguous",
}

_COLUMNS = """
    SELECT c.relname, a.attname, regexp_replace(format_type(a.atttypid, a.atttypmod), '\\(.*\\)', ''),
           has_table_privilege(c.oid, 'SELECT') OR has_column_privilege(c.oid, a.attnum, 'SELECT'),
           coalesce(col_description(c.oid, a.attnum), '')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = %s AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
"""
# Every value is read as text: times in one zone and one form, so that nothing depends on the server's settings.
_SETTINGS = "SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO, YMD'"


class PostgresLedger:
    """A ledger whose relations live in one schema. Times are in seconds and bound every wait.

    `max_age_s` is how long one moment may be held open: reading that takes longer ends with a sentence. Large
    relations are read over `connections` connections at once, beside the one that holds the moment.
    """

    def __init__(
        self,
        url: str,
        schema: str = "wartest",
        *,
        max_age_s: float = MAX_AGE_S,
        statement_timeout_s: float = 60,
        lock_timeout_s: float = 5,
        connections: int = 2,
    ) -> None:
        self._url = url
        self._schema = schema
        self._max_age_s = max_age_s
        self._statement_timeout_ms = int(min(statement_timeout_s, max_age_s) * 1000)
        self._lock_timeout_ms = int(lock_timeout_s * 1000)
        self._connections = connections

    def describe(self) -> str:
        """Return host, database and schema, without user and password."""
        try:
            parts = urlsplit(self._url)
            where = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
        except ValueError:
            return f"an address that cannot be read, schema {self._schema}"
        path = parts.path if "@" not in parts.path else "/•••"  # half an address may hold a password there
        return f"postgresql://{where}{path} schema {self._schema}"

    @contextmanager
    def at_one_moment(self, relations: Sequence[Relation]) -> Iterator[PostgresMoment]:
        """Open one read-only moment of the ledger and check that it has the relations and their columns.

        Raises LedgerUnreadable, with one sentence, when the server cannot be reached, a schema, relation or column
        is missing, a column has a type that is not exact, or the rights to read are missing.
        """
        with self._connection() as connection:
            began = time.monotonic()
            try:
                connection.execute(f"SET statement_timeout = {self._statement_timeout_ms}")
                connection.execute(f"SET lock_timeout = {self._lock_timeout_ms}")
                connection.execute(_SETTINGS)
                self._demand_text_code(connection)
                seen = self._demanded(connection, relations)
                row = connection.execute("SELECT transaction_timestamp(), pg_export_snapshot()").fetchone()
            except psycopg.Error as error:
                raise self._unreadable(error) from error
            if row is None:
                raise LedgerUnreadable(f"The ledger at {self.describe()} did not tell its time.")
            opened = Opened(self._url, self._schema, seen, row[1], self._connections, began + self._max_age_s)
            yield PostgresMoment(connection, opened, row[0], self._unreadable)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        try:
            connection = psycopg.connect(self._url, connect_timeout=5, application_name=OUR_NAME)
        except (psycopg.Error, ValueError, UnicodeError) as error:
            why = without_secrets(" ".join(str(error).split()), self._url)
            raise LedgerUnreachable(f"The ledger at {self.describe()} cannot be reached: {why}.") from None
        try:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield connection
        finally:
            connection.close()

    def _demand_text_code(self, connection: psycopg.Connection) -> None:
        if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            raise LedgerUnreadable(
                f"The ledger at {self.describe()} is kept in SQL_ASCII, where nobody knows what a text says: "
                "copy it into a database in UTF8."
            )

    def _demanded(self, connection: psycopg.Connection, relations: Sequence[Relation]) -> Seen:
        """Return what is there; raises LedgerUnreadable where a relation lacks a column of the contract, or all."""
        found: dict[str, dict[str, tuple[str, bool]]] = {}
        marked: dict[str, list[str]] = {MADE: [], UNKEPT: []}
        for relation, column, kind, readable, words in connection.execute(_COLUMNS, (self._schema,)):
            found.setdefault(relation, {})[column] = (kind, readable)
            if words in marked:
                marked[words].append(f"{relation}.{column}")
        if not found:
            raise LedgerUnreadable(
                f"The ledger at {self.describe()} has no relations in the schema {self._schema}: create the views."
            )
        lacks = {
            each.name: f"The ledger has no relation {self._schema}.{each.name}: create the view."
            for each in relations
            if each.name not in found
        }
        if len(lacks) == len(relations):
            raise LedgerUnreadable(next(iter(lacks.values())))
        for each in relations:
            for column in each.columns if each.name in found else ():
                self._demand_column(each, column, found[each.name])
        types = {name: {column: kind for column, (kind, _) in columns.items()} for name, columns in found.items()}
        return Seen(types, lacks, tuple(marked[MADE]), tuple(marked[UNKEPT]))

    def _demand_column(self, relation: Relation, column: Column, columns: dict[str, tuple[str, bool]]) -> None:
        name = f"{self._schema}.{relation.name}.{column.name}"
        if column.name not in columns:
            raise LedgerUnreadable(f"The ledger has no column {name}: add it to the view, or null where allowed.")
        kind, readable = columns[column.name]
        if not readable:
            raise LedgerUnreadable(f"The ledger's user may not read {name}: grant SELECT on the relation.")
        allowed = _READABLE.get(column.kind)
        if allowed is not None and kind not in allowed:
            raise LedgerUnreadable(f"The ledger's column {name} is {kind}: {_ADVICE[column.kind]}.")

    def _unreadable(self, error: psycopg.Error) -> LedgerUnreadable:
        why = " ".join(str(error).split())
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return LedgerUnreadable(f"The ledger's user may not read it: {why}; grant USAGE and SELECT.")
        if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
            return LedgerUnreadable(f"The ledger at {self.describe()} took too long to answer: {why}.")
        return LedgerUnreadable(f"The ledger at {self.describe()} cannot be read: {why}.")
