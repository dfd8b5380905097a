"""A ledger in PostgreSQL, read as of one moment and never written.

The one connection runs one REPEATABLE READ, READ ONLY transaction, so that every relation shows the same state.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import IsolationLevel, sql

from audits.contract import Column, Kind, Relation
from audits.sources import LedgerUnreadable

BATCH_ROWS = 20_000

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
_CAST = {
    Kind.TEXT: sql.SQL("::text"),
    Kind.JSON: sql.SQL("::text"),
    Kind.EXACT: sql.SQL("::numeric"),
    Kind.COUNT: sql.SQL("::bigint"),
    Kind.MOMENT: sql.SQL(""),
}

_COLUMNS = """
    SELECT c.relname, a.attname, regexp_replace(format_type(a.atttypid, a.atttypmod), '\\(.*\\)', ''),
           has_table_privilege(c.oid, 'SELECT') OR has_column_privilege(c.oid, a.attnum, 'SELECT')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = %s AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
"""


class PostgresLedger:
    """A ledger whose relations live in one schema. Timeouts are in seconds and bound every wait."""

    def __init__(
        self,
        url: str,
        schema: str = "wartest",
        *,
        connect_timeout_s: int = 5,
        statement_timeout_s: float = 60,
        lock_timeout_s: float = 5,
    ) -> None:
        self._url = url
        self._schema = schema
        self._connect_timeout_s = connect_timeout_s
        self._statement_timeout_ms = int(statement_timeout_s * 1000)
        self._lock_timeout_ms = int(lock_timeout_s * 1000)

    def describe(self) -> str:
        """Return host, database and schema, without user and password."""
        parts = urlsplit(self._url)
        try:
            where = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
        except ValueError:
            where = parts.hostname or "localhost"
        return f"postgresql://{where}{parts.path} schema {self._schema}"

    @contextmanager
    def at_one_moment(self, relations: Sequence[Relation]) -> Iterator["PostgresMoment"]:
        """Open one read-only moment of the ledger and check that it has the relations and their columns.

        Raises LedgerUnreadable, with one sentence, when the server cannot be reached, a schema, relation or column
        is missing, a column has a type that is not exact, or the rights to read are missing.
        """
        with self._connection() as connection:
            try:
                connection.execute(f"SET statement_timeout = {self._statement_timeout_ms}")
                connection.execute(f"SET lock_timeout = {self._lock_timeout_ms}")
                self._demand(connection, relations)
                row = connection.execute("SELECT transaction_timestamp()").fetchone()
            except psycopg.Error as error:
                raise self._unreadable(error) from error
            if row is None:
                raise LedgerUnreadable(f"The ledger at {self.describe()} did not tell its time.")
            yield PostgresMoment(connection, self._schema, row[0], self._unreadable)

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        try:
            connection = psycopg.connect(self._url, connect_timeout=self._connect_timeout_s)
        except (psycopg.Error, ValueError, UnicodeError) as error:
            why = " ".join(str(error).split())
            raise LedgerUnreadable(f"The ledger at {self.describe()} cannot be reached: {why}.") from error
        try:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield connection
        finally:
            connection.close()

    def _demand(self, connection: psycopg.Connection, relations: Sequence[Relation]) -> None:
        found: dict[str, dict[str, tuple[str, bool]]] = {}
        for relation, column, kind, readable in connection.execute(_COLUMNS, (self._schema,)):
            found.setdefault(relation, {})[column] = (kind, readable)
        if not found:
            raise LedgerUnreadable(
                f"The ledger at {self.describe()} has no relations in the schema {self._schema}: create the views."
            )
        for relation in relations:
            columns = found.get(relation.name)
            if columns is None:
                raise LedgerUnreadable(f"The ledger has no relation {self._schema}.{relation.name}: create the view.")
            for column in relation.columns:
                self._demand_column(relation, column, columns)

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


class PostgresMoment:
    """One open REPEATABLE READ transaction: every read sees the same state."""

    def __init__(
        self,
        connection: psycopg.Connection,
        schema: str,
        moment: datetime,
        unreadable: Callable[[psycopg.Error], LedgerUnreadable],
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._moment = moment
        self._unreadable = unreadable

    @property
    def moment(self) -> datetime:
        """When the transaction began, by the server's clock."""
        return self._moment

    def count(self, relation: Relation) -> int:
        """Return how many rows the relation has at this moment."""
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(self._schema, relation.name))
        try:
            row = self._connection.execute(query).fetchone()
        except psycopg.Error as error:
            raise self._unreadable(error) from error
        return int(row[0]) if row else 0

    def last_number(self, relation: Relation, column: str, account_id: str | None) -> int | None:
        """Return the largest whole number among the texts of a column, of one account or of all."""
        query = sql.SQL(
            "SELECT max({column}::text::numeric) FROM {relation} "
            "WHERE {column}::text ~ '^[0-9]{{1,30}}$' AND (%(account)s::text IS NULL OR account_id::text = %(account)s)"
        ).format(column=sql.Identifier(column), relation=sql.Identifier(self._schema, relation.name))
        try:
            row = self._connection.execute(query, {"account": account_id}).fetchone()
        except psycopg.Error as error:
            raise self._unreadable(error) from error
        return int(row[0]) if row and row[0] is not None else None

    def rows(self, relation: Relation) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Yield the rows in batches; columns in the contract's order, numbers as Decimal, times aware."""
        columns = sql.SQL(", ").join(sql.Identifier(column.name) + _CAST[column.kind] for column in relation.columns)
        query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(self._schema, relation.name))
        try:
            with self._connection.cursor(name=f"read_{relation.name}") as cursor:
                cursor.execute(query)
                while batch := cursor.fetchmany(BATCH_ROWS):
                    yield batch
        except psycopg.Error as error:
            raise self._unreadable(error) from error
