"""A user's schema and words, read from PostgreSQL in one session that cannot write."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import IsolationLevel, sql

from audits.mapping.found import Field, Reference, Table
from audits.mapping.synonyms import ROLES, SIDES, synonyms
from audits.mapping.vocabulary import WORDS
from audits.sources import LedgerUnreachable, LedgerUnreadable
from audits.sources.hiding import without_secrets

MOST_TABLES = 400
MOST_WORDS = 40
LOOKED_THROUGH = 200_000
STATEMENT_LIMIT_S = 20

_TABLES = """
    SELECT c.oid::bigint, n.nspname, c.relname, c.reltuples::bigint FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname !~ '^pg_'
      AND n.nspname NOT IN ('information_schema', %(views)s) AND (%(schema)s = '' OR n.nspname = %(schema)s)
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY n.nspname, c.relname LIMIT %(limit)s
"""
_FIELDS = """
    SELECT attrelid::bigint, attname, CASE WHEN t.typtype = 'e' THEN 'USER-DEFINED'
           ELSE regexp_replace(format_type(atttypid, NULL), '\\(.*\\)', '') END
    FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
    WHERE attrelid = ANY(%s::bigint[]::oid[]) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum
"""
# Keys and references of one column; a key of several names no row by itself.
_KEYS = """
    SELECT k.conrelid::bigint, k.contype, a.attname, f.relname, b.attname FROM pg_constraint k
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    LEFT JOIN pg_class f ON f.oid = k.confrelid
    LEFT JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
    WHERE k.conrelid = ANY(%s::bigint[]::oid[]) AND k.contype IN ('p', 'f') AND cardinality(k.conkey) = 1
    ORDER BY k.conrelid, k.conname
"""
_TEXTS = frozenset({"text", "character varying", "character", "USER-DEFINED"})


@contextmanager
def reading(url: str) -> Iterator[psycopg.Connection]:
    """A session in which the server refuses every write, at one moment, rolled back at the end.

    Raises LedgerUnreachable where nobody answers.
    """
    try:
        connection = psycopg.connect(url, connect_timeout=5)
    except (psycopg.Error, ValueError, UnicodeError) as error:
        why = without_secrets(" ".join(str(error).split()), url)
        raise LedgerUnreachable(f"The ledger cannot be reached: {why}.") from error
    try:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET default_transaction_read_only = on")
        connection.execute(f"SET statement_timeout = {STATEMENT_LIMIT_S * 1000}")
        connection.execute("SET lock_timeout = 5000")
        connection.execute("SET TimeZone TO 'UTC'")
        yield connection
    finally:
        connection.rollback()
        connection.close()


def read_tables(connection: psycopg.Connection, *, schema: str = "", views: str = "wartest") -> tuple[Table, ...]:
    """The tables of one schema, or of all but the system's and that of the views, with keys, references and words.

    Raises LedgerUnreadable where there is none, or more than MOST_TABLES.
    """
    asked = {"schema": schema, "views": views, "limit": MOST_TABLES + 1}
    try:
        found = connection.execute(_TABLES, asked).fetchall()
    except psycopg.Error as error:
        raise LedgerUnreadable(f"The ledger's tables cannot be listed: {' '.join(str(error).split())}.") from error
    if not found:
        place = f"in the schema {schema} " if schema else ""
        raise LedgerUnreadable(f"No table {place}can be read: name another --schema, or grant USAGE and SELECT.")
    if len(found) > MOST_TABLES:
        raise LedgerUnreadable(f"There are more than {MOST_TABLES} tables: name the schema of the ledger by --schema.")
    numbers = [row[0] for row in found]
    fields: dict[int, list[Field]] = {number: [] for number in numbers}
    for number, name, kind in connection.execute(_FIELDS, (numbers,)):
        fields[number].append(Field(name, kind))
    keys: dict[int, str] = {}
    references: dict[int, list[Reference]] = {number: [] for number in numbers}
    for number, kind, column, other, target in connection.execute(_KEYS, (numbers,)):
        if kind == "p":
            keys[number] = column
        else:
            references[number].append(Reference(column, other, target))
    return tuple(
        Table(space, name, tuple(fields[number]), keys.get(number, ""), tuple(references[number]), rows)
        for number, space, name, rows in found
    )


def with_words(connection: psycopg.Connection, tables: Sequence[Table]) -> tuple[Table, ...]:
    """The tables, with the words that stand in their statuses, sides and types, of LOOKED_THROUGH rows at most."""
    return tuple(_with_words(connection, table) for table in tables)


def _with_words(connection: psycopg.Connection, table: Table) -> Table:
    names = {*SIDES.split(), *ROLES.split()}
    names |= {name for relation, column in WORDS for name in synonyms(relation, column)}
    worded = {found.name for name in names for found in table.called(name) if found.type in _TEXTS}
    return replace(
        table,
        fields=tuple(
            replace(one, words=_words(connection, table, one.name)) if one.name in worded else one
            for one in table.fields
        ),
    )


def _words(connection: psycopg.Connection, table: Table, column: str) -> tuple[str, ...] | None:
    """The words, or None where they could not be read in time or are none: too many, or an empty table."""
    query = sql.SQL(
        "SELECT DISTINCT {column}::text FROM (SELECT {column} FROM {table} LIMIT {most}) AS looked LIMIT {words}"
    ).format(
        column=sql.Identifier(column),
        table=sql.Identifier(table.schema, table.name),
        most=sql.Literal(LOOKED_THROUGH),
        words=sql.Literal(MOST_WORDS + 1),
    )
    try:
        with connection.transaction():
            found = [row[0] for row in connection.execute(query) if row[0] is not None]
    except psycopg.Error:
        return None
    return tuple(sorted(found)) if 0 < len(found) <= MOST_WORDS else None
