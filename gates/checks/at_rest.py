"""Rows at rest: what a target only ever adds must be found again at the next look, as it was.

Looked at are executions, position events and balance events of the run and of the week before it. Each row is kept as
two 64-bit hashes that the ledger's own server makes, of its id and of all its words, so views serve as well as tables.
"""

import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from audits.sources.postgres_moment import OUR_NAME
from gates.campaigns.hands import Vanished
from gates.targets.access import Access

RELATIONS = (
    ("executions", "execution_id", "executed_at"),
    ("position_events", "event_id", "recorded_at"),
    ("balance_events", "event_id", "recorded_at"),
)
LOOKS_BACK = timedelta(days=7)
MOST_ROWS = 500_000
MOST_NAMED = 20
CONNECT_LIMIT_S = 5
STATEMENT_LIMIT_MS = 30_000


class TooManyRowsError(Exception):
    """More rows than are kept between two looks; the message says of which relation."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Rows of one relation: hash of the id to hash of the row."""

    relation: str
    rows: Mapping[int, int]

    def packed(self) -> tuple[bytes, bytes]:
        """Return ids and contents as they are kept, in one order."""
        keys = array("q", self.rows)
        contents = array("q", (self.rows[key] for key in keys))
        return zlib.compress(keys.tobytes(), 1), zlib.compress(contents.tobytes(), 1)

    @classmethod
    def unpacked(cls, relation: str, keys: bytes, contents: bytes) -> "Seen":
        """Read what `packed` wrote."""
        arrays = (array("q", zlib.decompress(part)) for part in (keys, contents))
        return cls(relation, dict(zip(*arrays, strict=True)))


def look(access: Access, run_start: datetime) -> tuple[Seen, ...]:
    """Read the hashes of all rows looked at, in one moment. Raises psycopg.Error, TooManyRowsError."""
    with _reading(access) as connection:
        return tuple(_seen(connection, access.ledger_schema, each, run_start - LOOKS_BACK) for each in RELATIONS)


def vanished(access: Access, before: Seen, now: Seen) -> Vanished | None:
    """Return which rows of before are not there as they were, named while they are few; None when all are."""
    lost = [key for key, content in before.rows.items() if now.rows.get(key) != content]
    if not lost:
        return None
    changed = [key for key in lost if key in now.rows]
    return Vanished(now.relation, _named(access, now.relation, changed[:MOST_NAMED]), len(lost) - len(changed))


def _reading(access: Access) -> "psycopg.Connection[tuple[object, ...]]":
    options = f"-c statement_timeout={STATEMENT_LIMIT_MS} -c TimeZone=UTC -c default_transaction_read_only=on"
    connection = psycopg.connect(
        access.ledger_url, connect_timeout=CONNECT_LIMIT_S, options=options, application_name=OUR_NAME
    )
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return connection


def _seen(
    connection: "psycopg.Connection[tuple[object, ...]]", schema: str, relation: tuple[str, str, str], since: datetime
) -> Seen:
    name, key, at = relation
    query = sql.SQL(
        "SELECT hashtextextended({key}::text, 0), hashtextextended(seen::text, 0) "
        "FROM {relation} AS seen WHERE {at} >= %s LIMIT {most}"
    ).format(
        key=sql.Identifier(key),
        relation=sql.Identifier(schema, name),
        at=sql.Identifier(at),
        most=sql.Literal(MOST_ROWS + 1),
    )
    rows = connection.execute(query, (since,)).fetchall()
    if len(rows) > MOST_ROWS:
        raise TooManyRowsError(f"More than {MOST_ROWS} rows of {name} cannot be kept from look to look.")
    return Seen(name, {int(str(key)): int(str(content)) for key, content in rows})


def _named(access: Access, relation: str, keys: list[int]) -> tuple[str, ...]:
    """Return the ids behind the hashes."""
    name, key, _ = next(each for each in RELATIONS if each[0] == relation)
    query = sql.SQL("SELECT {key}::text FROM {relation} WHERE hashtextextended({key}::text, 0) = ANY(%s)").format(
        key=sql.Identifier(key), relation=sql.Identifier(access.ledger_schema, name)
    )
    if not keys:
        return ()
    with _reading(access) as connection:
        return tuple(str(row[0]) for row in connection.execute(query, (keys,)).fetchall())
