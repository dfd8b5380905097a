"""What a ledger in PostgreSQL holds at one moment: an open transaction, whose every read sees the same state."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import make_conninfo

from audits.contract import Relation
from audits.exact_columns import SnapshotUnreadable, table_from_columns
from audits.sources import LedgerUnreadable
from audits.sources.postgres_bulk import BulkFailed, BulkRead, write_in_bulk

BATCH_ROWS = 20_000
OUR_NAME = "wartest"  # as which readers show among the sessions of the server

Types = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found: the type of each column, the relations not there, the columns made up and those not kept."""

    types: Types
    lacks: Mapping[str, str]
    made: tuple[str, ...]
    unkept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of an open moment; `ends` is when it has become too old, on the monotonic clock."""

    url: str
    schema: str
    seen: Seen
    snapshot_id: str
    connections: int
    ends: float


class PostgresMoment:
    """One open REPEATABLE READ transaction: every read sees the same state."""

    def __init__(
        self,
        connection: psycopg.Connection,
        opened: Opened,
        moment: datetime,
        unreadable: Callable[[psycopg.Error], LedgerUnreadable],
    ) -> None:
        self._connection = connection
        self._opened = opened
        self._moment = moment
        self._unreadable = unreadable
        self._counts: dict[str, int] = {}

    @property
    def moment(self) -> datetime:
        """When the transaction began, by the server's clock."""
        return self._moment

    @property
    def caveat(self) -> str:
        """Nothing: the server vouches for one moment."""
        return ""

    @property
    def lacks(self) -> Mapping[str, str]:
        """The relations asked for that are not there."""
        return self._opened.seen.lacks

    @property
    def made(self) -> tuple[str, ...]:
        """The columns that the views make up, by their own comments."""
        return self._opened.seen.made

    @property
    def unkept(self) -> tuple[str, ...]:
        """The columns that the ledger does not keep, by the comments of its views."""
        return self._opened.seen.unkept

    def count(self, relation: Relation) -> int:
        """Return how many rows the relation has at this moment."""
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(self._opened.schema, relation.name))
        try:
            row = self._connection.execute(query).fetchone()
        except psycopg.Error as error:
            raise self._unreadable(error) from error
        self._counts[relation.name] = int(row[0]) if row else 0
        return self._counts[relation.name]

    def last_number(self, relation: Relation, column: str, account_id: str | None) -> int | None:
        """Return the largest whole number among the texts of a column, of one account or of all."""
        query = sql.SQL(
            "SELECT max({column}::text::numeric) FROM {relation} "
            "WHERE {column}::text ~ '^[0-9]{{1,30}}$' AND (%(account)s::text IS NULL OR account_id::text = %(account)s)"
        ).format(column=sql.Identifier(column), relation=sql.Identifier(self._opened.schema, relation.name))
        try:
            row = self._connection.execute(query, {"account": account_id}).fetchone()
        except psycopg.Error as error:
            raise self._unreadable(error) from error
        return int(row[0]) if row and row[0] is not None else None

    def rows(self, relation: Relation) -> Iterator[pa.Table]:
        """Yield the rows in batches, every value as the server's text."""
        return self._texts(relation, sql.SQL(""))

    def rows_from(self, relation: Relation, firsts: Mapping[str, int]) -> Iterator[pa.Table]:
        """Yield, as `rows` does, those of the accounts named whose `sequence` is at least the account's first."""
        some = sql.SQL(
            " JOIN unnest(%(accounts)s::text[], %(firsts)s::bigint[]) AS mark(account, first)"
            " ON account_id = account AND sequence >= first"
        )
        return self._texts(relation, some, {"accounts": list(firsts), "firsts": list(firsts.values())})

    def _texts(
        self, relation: Relation, some: sql.SQL, values: Mapping[str, list[Any]] | None = None
    ) -> Iterator[pa.Table]:
        names = [column.name for column in relation.columns]
        columns = sql.SQL(", ").join(sql.Identifier(name) + sql.SQL("::text") for name in names)
        query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(self._opened.schema, relation.name)) + some
        try:
            with self._cursor(relation) as cursor:
                cursor.execute(query, values)
                while batch := cursor.fetchmany(BATCH_ROWS):
                    self._left_s()
                    texts = zip(*batch, strict=True)
                    yield pa.table({name: pa.array(text, pa.string()) for name, text in zip(names, texts, strict=True)})
        except psycopg.Error as error:
            raise self._unreadable(error) from error

    def _cursor(self, relation: Relation) -> psycopg.Cursor | psycopg.ServerCursor:
        """At the server, which costs three round trips more, unless it was counted that one batch holds it all."""
        if self._counts.get(relation.name, BATCH_ROWS) < BATCH_ROWS:
            return self._connection.cursor()
        return self._connection.cursor(name=f"read_{relation.name}")

    def write_files(self, directory: Path, counts: Mapping[Relation, int]) -> bool:
        """Write large relations to `<relation>.parquet`, several at once; False where this cannot be done here.

        Raises LedgerUnreadable when the moment becomes too old meanwhile, and SnapshotUnreadable, naming the row,
        for a value that cannot be kept exactly.
        """
        url = make_conninfo(self._opened.url, application_name=OUR_NAME)
        read = BulkRead(url, self._opened.schema, self._opened.snapshot_id, self._opened.seen.types)
        try:
            return write_in_bulk(read, directory, counts, connections=self._opened.connections, limit_s=self._left_s())
        except BulkFailed as failure:
            self._left_s()
            for batch in self.rows(failure.relation):  # the slow way finds the row and names it
                table_from_columns(failure.relation, batch)
            raise SnapshotUnreadable(f"{failure.relation.name} cannot be read: {failure}.") from failure

    def _left_s(self) -> float:
        left_s = self._opened.ends - time.monotonic()
        if left_s <= 0:
            raise LedgerUnreadable(
                "Reading the ledger took longer than one moment of it may be held open: read from a replica, "
                "or raise SNAPSHOT_LIMIT_S."
            )
        return left_s
