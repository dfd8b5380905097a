"""Strikes by another session on the target's ledger: a lock that is held, and a real deadlock that the target loses.

Which of two sessions becomes a deadlock's victim is the one whose own deadlock_timeout fires first (PostgreSQL manual,
20.12); ours is set to 60 s, so that it is the target. Whole tables are locked, since that needs to know no rows.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection, errors, sql
from psycopg.rows import TupleRow

from gates.chaos.cells.cell import Cell
from gates.chaos.faults import KillBefore
from gates.chaos.messages import Channel, Point, Proof, Receipt, Strike
from gates.chaos.proxies.events import Decision, Held, Refused
from gates.chaos.striking import LATE_EVENT_S, STRIKE_LIMIT_S, Asked, Follow, Seen, next_event
from gates.chaos.trials import Trial

Injector = AsyncConnection[TupleRow]
WAIT_PAUSE_S = 0.02
VICTIM_LIMIT_S = 8.0
DEADLOCK = "40P01"
_TOUCHED = re.compile(r"\b(?:INTO|UPDATE|FROM|JOIN)\s+(\"?\w+\"?)\.(\"?\w+\"?)", re.IGNORECASE)
_TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""
_HELD_BY = """
    SELECT DISTINCT n.nspname, c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.pid = %s AND l.granted AND l.mode IN ('RowShareLock', 'RowExclusiveLock') AND c.relkind IN ('r', 'p')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""
_WAITING = "SELECT pid FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)) LIMIT 1"
Table = tuple[str, str]


@asynccontextmanager
async def lock_held(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """Another hand locks the ledger's tables for `lock_ms`, from the moment of the statement on."""
    async with _injector(cell) as injector:
        await cell.wires[Channel.LEDGER].control.arm(point, KillBefore(), hold_ms=trial.held_ms)
        yield lambda asked: _lock(cell, trial, asked, injector)


@asynccontextmanager
async def deadlock(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """The held statement wants a table that another hand has locked, which waits for one that the target has."""
    async with _injector(cell) as injector:
        await cell.wires[Channel.LEDGER].control.arm(point, KillBefore(), hold_ms=trial.held_ms)
        yield lambda asked: _deadlock(cell, trial, asked, injector)


async def _lock(cell: Cell, trial: Trial, asked: Asked, injector: Injector) -> Seen:
    held = await _held(cell, asked)
    if held is None:
        return _never_came()
    locked = await _lock_free(injector, await _listed(injector, _TABLES))
    began = time.monotonic()
    await _forward(cell, held)
    waiter, ends = None, began + trial.parameters["lock_ms"] / 1000
    while time.monotonic() < ends:
        waiter = waiter or await _waiting(cell, injector.info.backend_pid)
        await asyncio.sleep(WAIT_PAUSE_S)
    await injector.rollback()
    lock_ms = round((time.monotonic() - began) * 1000, 1)
    if waiter is None:
        return Seen(None, began, "Not applicable: nothing of the target waited for the locked tables.", applies=False)
    return _proven(trial, held, {"lock_ms": lock_ms, "tables": len(locked), "waiting_backend_pid": waiter})


async def _deadlock(cell: Cell, trial: Trial, asked: Asked, injector: Injector) -> Seen:
    """1. Lock what the statement wants. 2. Wait for what the target has. 3. Let the statement go. 4. See 40P01."""
    held = await _held(cell, asked)
    if held is None:
        return _never_came()
    has = await _listed(injector, _HELD_BY, held.backend_pid)
    wants = [table for table in _touched(held.message.fingerprint) if table not in has]
    locked = await _lock_free(injector, wants) if has else []
    if not has or not locked:
        await injector.rollback()
        await _forward(cell, held)
        words = "holds no other lock yet" if not has else "wants no table that it has not locked"
        return Seen(None, time.monotonic(), f"Not applicable: at this statement the target {words}.", applies=False)
    waiting = asyncio.create_task(_lock_one(injector, has[0]))
    try:
        while await _waiting(cell, held.backend_pid or 0) is None and not waiting.done():
            await asyncio.sleep(WAIT_PAUSE_S)
        began = time.monotonic()
        await _forward(cell, held)
        seen = await _victim(cell, held.message.connection)
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await injector.close()
    if not seen:
        return Seen(None, began, f"No receipt: no {DEADLOCK} was seen on the wire.")
    proof: Proof = {
        "sqlstate": DEADLOCK,
        "backend_pid": held.backend_pid or 0,
        "target_had": ".".join(has[0]),
        "target_wanted": ".".join(locked[0]),
        "after_ms": round((time.monotonic() - began) * 1000, 1),
    }
    return _proven(trial, held, proof)


@asynccontextmanager
async def _injector(cell: Cell) -> AsyncIterator[Injector]:
    """A session that never becomes a deadlock's victim first. What it has locked is free when it ends."""
    connection = await psycopg.AsyncConnection.connect(cell.ledger_url, connect_timeout=5)
    try:
        await connection.execute("SET deadlock_timeout = '60s'")
        await connection.commit()
        yield connection
    finally:
        await connection.close()


async def _held(cell: Cell, asked: Asked) -> Held | None:
    """The message at which the proxy holds the target; None when it never came."""
    event = await next_event(cell, asked, time.monotonic() + STRIKE_LIMIT_S, late_s=LATE_EVENT_S)
    return event if isinstance(event, Held) else None


async def _forward(cell: Cell, held: Held) -> None:
    await cell.wires[Channel.LEDGER].control.decide(held.held_id, Decision.FORWARD)


async def _listed(injector: Injector, query: str, *values: object) -> list[Table]:
    found = await (await injector.execute(query.encode(), values or None)).fetchall()
    return [(str(schema), str(name)) for schema, name in found]


async def _lock_free(injector: Injector, tables: Sequence[Table]) -> list[Table]:
    """Lock those of the tables that nobody holds; which."""
    locked = []
    for table in tables:
        try:
            async with injector.transaction():
                await _lock_one(injector, table, nowait=True)
        except (errors.LockNotAvailable, errors.UndefinedTable, errors.WrongObjectType):
            continue
        locked.append(table)
    return locked


async def _lock_one(injector: Injector, table: Table, *, nowait: bool = False) -> None:
    statement = sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.Identifier(*table))
    await injector.execute(statement + sql.SQL(" NOWAIT") if nowait else statement)


async def _waiting(cell: Cell, blocker: int) -> int | None:
    """A backend that waits for a lock of `blocker`."""
    connection = await cell.direct()
    row = await (await connection.execute(_WAITING, (blocker,))).fetchone()
    return int(row[0]) if row else None


async def _victim(cell: Cell, connection: int) -> bool:
    """Whether the target's connection was answered with 40P01 in time."""
    ends = time.monotonic() + VICTIM_LIMIT_S
    while (left_s := ends - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left_s):
                _, event = await cell.events.get()
        except TimeoutError:
            return False
        if isinstance(event, Refused) and event.sqlstate == DEADLOCK and event.connection == connection:
            return True
    return False


def _touched(statement: str) -> list[Table]:
    """The tables that a statement names with their schema, in its order."""
    named = ((schema.strip('"'), name.strip('"')) for schema, name in _TOUCHED.findall(statement))
    return list(dict.fromkeys(named))


def _proven(trial: Trial, held: Held, proof: Proof) -> Seen:
    now = time.monotonic()
    stood: Proof = {"held_ms": trial.held_ms} if trial.held_ms else {}
    return Seen(Receipt(trial.strike, held.message, now, {**proof, **stood}), now)


def _never_came() -> Seen:
    return Seen(None, time.monotonic(), "No receipt: the moment never came.")


CONTENTION = {Strike.LOCK_HELD: lock_held, Strike.DEADLOCK: deadlock}
