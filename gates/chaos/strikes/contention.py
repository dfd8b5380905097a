"""Strikes by another session on the target's ledger: a lock that is held, and a real deadlock that the target loses.

Which of two sessions becomes a deadlock's victim is the one whose own deadlock_timeout fires first (PostgreSQL manual,
20.12); ours is set to 60 s, so that it is the target. Whole tables are locked, since that needs to know no rows.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gates.chaos.cells.cell import Cell
from gates.chaos.faults import KillBefore
from gates.chaos.messages import Channel, Point, Proof, Receipt, Strike
from gates.chaos.proxies.events import Closed, Decision, Held, Refused
from gates.chaos.strikes.request_deadlock import DEADLOCK, Locked, MixedUpError, Within
from gates.chaos.strikes.striking import LATE_EVENT_S, STRIKE_LIMIT_S, Asked, Follow, Seen, next_event
from gates.chaos.strikes.table_locks import TABLES, WAIT_PAUSE_S, Injector, Table, injector, listed, lock_free, lock_one
from gates.chaos.trials import Trial

VICTIM_LIMIT_S = 8.0
_NAME = r'("[^"]+"|\w+)'
_TOUCHED = re.compile(rf"\b(?:INTO|UPDATE|FROM|JOIN)\s+(?:ONLY\s+)?(?:{_NAME}\s*\.\s*)?{_NAME}", re.IGNORECASE)
_HELD_BY = """
    SELECT DISTINCT n.nspname, c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.pid = %s AND l.granted AND l.mode IN ('RowShareLock', 'RowExclusiveLock') AND c.relkind IN ('r', 'p')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""
_WAITING = """
    SELECT pid FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)) AND pid = coalesce(%s::int, pid) LIMIT 1
"""


@asynccontextmanager
async def lock_held(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """Another hand locks the ledger's tables for `lock_ms`, from the moment of the statement on."""
    async with injector(cell) as session:
        await cell.wires[Channel.LEDGER].control.arm(point, KillBefore(), hold_ms=trial.held_ms)
        yield lambda asked: _lock(cell, trial, asked, session)


@asynccontextmanager
async def deadlock(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """The held statement wants a table that another hand has locked, which waits for one that the target has."""
    async with injector(cell) as session:
        await cell.wires[Channel.LEDGER].control.arm(point, KillBefore(), hold_ms=trial.held_ms)
        yield lambda asked: _deadlock(cell, trial, asked, session)


async def _lock(cell: Cell, trial: Trial, asked: Asked, session: Injector) -> Seen:
    held = await _held(cell, asked)
    if held is None:
        return _never_came()
    stood = _stood(trial, held)
    locked = await lock_free(session, await listed(session, TABLES))
    began = time.monotonic()
    await _forward(cell, held)
    waiter, ends = None, began + trial.parameters["lock_ms"] / 1000
    while time.monotonic() < ends:
        waiter = waiter or await _waiter(cell, session.info.backend_pid, held)
        await asyncio.sleep(WAIT_PAUSE_S)
    lock_ms = round((time.monotonic() - began) * 1000, 1)
    seen = {"lock_ms": lock_ms, "target_hung_up": _has_hung_up(cell, held)}
    await session.rollback()
    if waiter is None:
        return _not_applicable(held, "the statement waited for none of the locked tables")
    return _proven(trial, held, {**seen, "tables": len(locked), "waiting_backend_pid": waiter, **stood})


async def _deadlock(cell: Cell, trial: Trial, asked: Asked, session: Injector) -> Seen:
    """1. Lock what the statement wants. 2. Wait for what the target has. 3. Let the statement go. 4. See 40P01."""
    held = await _held(cell, asked)
    if held is None:
        return _never_came()
    stood = _stood(trial, held)
    if held.backend_pid is None:
        return await _deadlock_within(cell, trial, held, stood)
    has = await listed(session, _HELD_BY, held.backend_pid)
    wants = [table for table in touched(held.message.fingerprint, await listed(session, TABLES)) if table not in has]
    locked = await lock_free(session, wants) if has else []
    if not has or not locked:
        await session.rollback()
        await _forward(cell, held)
        words = "holds no other lock yet" if not has else "names no table that it has not locked"
        return _not_applicable(held, f"at this statement the target {words}")
    waiting = asyncio.create_task(lock_one(session, has[0]))
    try:
        while await _waiting(cell, held.backend_pid) is None and not waiting.done():
            await asyncio.sleep(WAIT_PAUSE_S)
        began = time.monotonic()
        await _forward(cell, held)
        seen = await _victim(cell, held.message.connection)
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await session.close()
    if not seen:
        return Seen(None, began, f"No receipt: no {DEADLOCK} was seen on the wire.")
    met = Locked(has[0], locked[0], held.backend_pid)
    return _proven(trial, held, {**met.proof(began), **stood})


async def _deadlock_within(cell: Cell, trial: Trial, held: Held, stood: Proof) -> Seen:
    """Over HTTP the target has no session: what its request does within itself is what can end in a deadlock."""
    within = Within(cell, held.message)
    try:
        await within.hold()
        locked = await within.deadlock(lambda: _forward(cell, held))
        began = time.monotonic()
        if locked is None:
            return _not_applicable(held, "a request over HTTP that touches no second table can meet no deadlock")
        seen = await _victim(cell, held.message.connection)
    except TimeoutError:
        return Seen(None, time.monotonic(), "No receipt: the request neither waited nor was answered.")
    except MixedUpError:
        return Seen(None, time.monotonic(), "No receipt: another request waited for the locked tables as well.")
    finally:
        await within.close()
    if not seen:
        return Seen(None, began, f"No receipt: no {DEADLOCK} was seen on the wire.")
    return _proven(trial, held, {**locked.proof(began), **stood})


async def _held(cell: Cell, asked: Asked) -> Held | None:
    """The message at which the proxy holds the target; None when it never came."""
    event = await next_event(cell, asked, time.monotonic() + STRIKE_LIMIT_S, late_s=LATE_EVENT_S)
    return event if isinstance(event, Held) else None


def _stood(trial: Trial, held: Held) -> Proof:
    """How long the message has stood by now, where it was asked to stand: measured, both clocks being the machine's."""
    return {"held_ms": round((time.monotonic() - held.message.at_s) * 1000, 1)} if trial.held_ms else {}


async def _forward(cell: Cell, held: Held) -> None:
    await cell.wires[Channel.LEDGER].control.decide(held.held_id, Decision.FORWARD)


def _has_hung_up(cell: Cell, held: Held) -> bool:
    """Whether the target has ended the connection of the request that was let go, as the proxies told until now."""
    told = [cell.events.get_nowait() for _ in range(cell.events.qsize())]
    mine = (Channel.LEDGER, Closed(held.message.connection))
    return mine in told


async def _waiter(cell: Cell, blocker: int, held: Held) -> int | None:
    """The backend in which the statement waits for a lock of `blocker`; over HTTP any, while it is not answered."""
    waiter = await _waiting(cell, blocker, held.backend_pid)
    is_next = waiter is not None and held.backend_pid is None and await cell.answered(held.message)
    return None if is_next else waiter


async def _waiting(cell: Cell, blocker: int, backend: int | None = None) -> int | None:
    """A backend that waits for a lock of `blocker`: this one, or over HTTP, where none is known, any."""
    connection = await cell.direct()
    row = await (await connection.execute(_WAITING, (blocker, backend))).fetchone()
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


def touched(statement: str, tables: Sequence[Table]) -> list[Table]:
    """Those of the tables that a statement names, in its order; by a bare name all of that name, in any schema."""
    named = [(_folded(schema), _folded(name)) for schema, name in _TOUCHED.findall(statement)]
    found = [table for schema, name in named for table in tables if table[1] == name and schema in ("", table[0])]
    return list(dict.fromkeys(found))


def _folded(name: str) -> str:
    """A name as the catalogue has it: in lower case, unless it is quoted (PostgreSQL manual, 4.1.1)."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _not_applicable(held: Held, why: str) -> Seen:
    return Seen(None, time.monotonic(), f"Not applicable: {why}.", applies=False, met=held.message)


def _proven(trial: Trial, held: Held, proof: Proof) -> Seen:
    now = time.monotonic()
    return Seen(Receipt(trial.strike, held.message, now, proof), now)


def _never_came() -> Seen:
    return Seen(None, time.monotonic(), "No receipt: the moment never came.")


CONTENTION = {Strike.LOCK_HELD: lock_held, Strike.DEADLOCK: deadlock}
