"""One hash for all that would survive if every process died now, by which two kills are told to leave one state.

Blind to the cell's account, to random ids and to times, and, where it is asked to be, to a noise that was learned.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from gates.chaos.cells.cell import Cell
from gates.chaos.cells.noise import SILENCE, Column, Kept, Noise
from gates.chaos.cells.resting import resting_told
from gates.chaos.cells.states import HOUSEKEEPING, RANDOM, transactions_told

MOST_BYTES = 64 * 1024 * 1024
# Of a noisy column: each word with a digit in it, and each long one in which capitals follow each other among others.
MEANINGLESS = "[A-Za-z0-9_.+-]*[0-9][A-Za-z0-9_.+-]*|(?=[A-Za-z_-]*[A-Z]{2})(?=[A-Za-z_-]*[a-z])[A-Za-z_-]{16,}"


async def digest_of(cell: Cell, noise: Noise = SILENCE) -> str:
    """The hash of a cell as it is: by all that the ledger's database, the broker and the cell's folder hold.

    Beside a noise all that the contract's relations tell counts too, whatever they are views over: nothing that a
    verdict is based on goes unseen. Raises psycopg.Error.
    """
    broker = await cell.premises.simulator.transactions(cell.account)
    files = {name: told for name, told in cell.folder.written(cell.account).items() if name not in noise.files}
    besides: list[Any] = [transactions_told(broker), resting_told(broker), files]
    if noise:
        besides.append((await cell.state()).told())
    return await durable_digest(await cell.direct(), cell.account, besides, noise)


async def kept_by(cell: Cell) -> Kept:
    """What the ledger's database and the cell's folder hold, in short. Raises psycopg.Error."""
    masks, found = _masks(cell.account), {}
    connection = await cell.direct()
    async with connection.transaction(), connection.cursor() as cursor:
        for schema, name, size, columns in await _tables(cursor):
            values = [_told("quote_nullable(kept.{}::text)", column) for column in columns]
            hashes = [sql.SQL("md5(string_agg({0}, E'\\n' ORDER BY {0}))").format(value) for value in values]
            query = sql.SQL("SELECT {} FROM {} AS kept").format(
                sql.SQL(", ").join([sql.SQL("count(*)"), *hashes]), sql.Identifier(schema, name)
            )
            row = (size,) if size > MOST_BYTES else await (await cursor.execute(query, masks)).fetchone()
            told = [str(value) for value in (row or (0,))[1:]]
            found[schema, name] = ((row or (0,))[0], dict(zip(columns, told, strict=False)))
    return Kept(found, cell.folder.written(cell.account))


async def durable_digest(
    connection: psycopg.AsyncConnection[TupleRow], account: str, besides: Sequence[Any], noise: Noise = SILENCE
) -> str:
    """The hash of a ledger's database, and of what is `besides`, as JSON.

    Every table counts, not only what the contract names: two states that differ in a cursor of the target's own are
    recovered from in two ways. Of a table above MOST_BYTES its size stands for its rows. Raises psycopg.Error.
    """
    held: list[Any] = []
    async with connection.transaction(), connection.cursor() as cursor:
        for schema, name, size, columns in await _tables(cursor):
            if (schema, name) in noise.tables:
                continue
            if size > MOST_BYTES:
                held.append((schema, name, size))
                continue
            noisy = noise.columns.intersection((schema, name, column) for column in columns)
            query = sql.SQL(_ROWS).format(row=_row(columns, noisy), table=sql.Identifier(schema, name))
            held.append((schema, name, await (await cursor.execute(query, _masks(account))).fetchone()))
    return hashlib.sha256(json.dumps([held, *besides]).encode()).hexdigest()[:16]


async def _tables(cursor: psycopg.AsyncCursor[TupleRow]) -> list[TupleRow]:
    """Schema, name, bytes and columns of every table, as of the moment of which all else is read."""
    await cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    return await (await cursor.execute(_TABLES, (list(HOUSEKEEPING),))).fetchall()


def _row(columns: Iterable[str], noisy: Iterable[Column]) -> sql.Composable:
    """A row as text; of its noisy columns only whether there is a value, and its words."""
    names = {column for _, _, column in noisy}
    if not names:
        return sql.SQL(_MASKED.format("kept::text"))
    values = [
        sql.SQL("regexp_replace({}, %(meaningless)s, '*', 'g')").format(_told("kept.{}::text", column))
        if column in names
        else sql.SQL("kept.{}::text").format(sql.Identifier(column))
        for column in columns
    ]
    return sql.SQL(_MASKED.format("ROW({})::text")).format(sql.SQL(", ").join(values))


def _told(value: str, column: str) -> sql.Composable:
    return sql.SQL(_MASKED.format(value)).format(sql.Identifier(column))


def _masks(account: str) -> dict[str, str]:
    return {"account": account, "random": RANDOM, "meaningless": MEANINGLESS}


_TABLES = """SELECT n.nspname, c.relname, pg_table_size(c.oid), ARRAY(SELECT a.attname::text FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|information_schema)' AND c.relname <> ALL(%s) ORDER BY 1, 2"""
_ROWS = """SELECT count(*), md5(string_agg(told, E'\n' ORDER BY told)) FROM
    (SELECT {row} AS told FROM {table} AS kept) AS rows"""
_MASKED = "regexp_replace(replace({}, %(account)s, '*'), %(random)s, '*', 'gi')"
