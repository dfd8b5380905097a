"""Sessions of ours on a cell's ledger that lock its tables, past every proxy."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection, errors, sql
from psycopg.rows import TupleRow

from gates.chaos.cells.cell import Cell

Session = AsyncConnection[TupleRow]
Table = tuple[str, str]
WAIT_PAUSE_S = 0.02
_WANTED = """
    SELECT l.pid, n.nspname, c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.locktype = 'relation' AND NOT l.granted AND l.pid <> ALL(%s) AND l.pid = coalesce(%s::int, l.pid)
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY l.pid LIMIT 2
"""
TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""


@asynccontextmanager
async def locking_session(cell: Cell) -> AsyncIterator[Session]:
    """A session that never becomes a deadlock's victim first. What it has locked is free when it ends."""
    connection = await psycopg.AsyncConnection.connect(cell.ledger_url, connect_timeout=5)
    try:
        await connection.execute("SET deadlock_timeout = '60s'")
        await connection.commit()
        yield connection
    finally:
        await connection.close()


async def listed(session: Session, query: str, *values: object) -> list[Table]:
    found = await (await session.execute(query.encode(), values or None)).fetchall()
    return [(str(schema), str(name)) for schema, name in found]


async def wanted(connection: Session, ours: Sequence[int], backend: int | None) -> list[tuple[int, Table]]:
    """Which backends of this database wait for which table, at most two: this one, or any that is not ours.

    Other cells' databases are copies of the same template: their tables have the same numbers.
    """
    rows = await (await connection.execute(_WANTED, (list(ours), backend))).fetchall()
    return [(int(pid), (str(schema), str(name))) for pid, schema, name in rows]


async def lock_free(session: Session, tables: Sequence[Table]) -> list[Table]:
    """Lock those of the tables that nobody holds and that may be locked; which."""
    locked = []
    for table in tables:
        try:
            async with session.transaction():
                await lock_one(session, table, nowait=True)
        except (
            errors.LockNotAvailable,
            errors.UndefinedTable,
            errors.WrongObjectType,
            errors.InsufficientPrivilege,
        ):
            continue
        locked.append(table)
    return locked


async def lock_one(session: Session, table: Table, *, nowait: bool = False) -> None:
    statement = sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.Identifier(*table))
    await session.execute(statement + sql.SQL(" NOWAIT") if nowait else statement)
