"""Strikes by another session on the target's ledger: a lock that is held, and a real deadlock that the target loses.

Which of two sessions becomes a deadlock's victim is the one whose own deadlock_timeout fires first (PostgreSQL manual,
20.12); ours is set to 60 s, so that it is the target. Whole tables are locked, since that needs to know no rows.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gates.chaos.cells.cell import Cell
from gates.chaos.faults import KillBefore
from gates.chaos.messages import Channel, Message, Point, Proof, Receipt, Strike
from gates.chaos.proxies.events import Closed, Decision, Held, Refused
from gates.chaos.scenarios.statements import calls_a_function, touched
from gates.chaos.strikes.request_deadlock import DEADLOCK, Locked, NotShownError, RequestDeadlock, is_error
from gates.chaos.strikes.striking import LATE_EVENT_S, Asked, Follow, Seen, limit_of, next_event
from gates.chaos.strikes.table_locks import (
    TABLES,
    WAIT_PAUSE_S,
    Session,
    Table,
    listed,
    lock_free,
    lock_one,
    locking_session,
    wanted,
)
from gates.chaos.trials import Trial

VICTIM_LIMIT_S = 8.0
BLOCKED_LIMIT_S = 10.0
LATE_REFUSAL_S = 0.3
_HELD_BY = """
    SELECT DISTINCT n.nspname, c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.pid = %s AND l.granted AND l.mode <> 'AccessShareLock' AND c.relkind IN ('r', 'p')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
"""
_WAITING = """
    SELECT pid FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)) AND pid = coalesce(%s::int, pid) LIMIT 1
"""


@asynccontextmanager
async def lock_held(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """Another hand locks the ledger's tables for `lock_ms`, from the moment of the statement on."""
    async with locking_session(cell) as session:
        await cell.wires[Channel.LEDGER].control.arm(point, KillBefore(), hold_ms=trial.held_ms)
        yield lambda asked: _lock(cell, trial, asked, session)


@asynccontextmanager
async def deadlock(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """The held statement wants a table that another hand has locked, which waits for one that the target has."""
    async with locking_session(cell) as session:
        await cell.wires[Channel.LEDGER].control.arm(point, KillBefore(), hold_ms=trial.held_ms)
        yield lambda asked: _deadlock(cell, trial, asked, session)


async def _lock(cell: Cell, trial: Trial, asked: Asked, session: Session) -> Seen:
    held = await _held(cell, trial, asked)
    if held is None:
        return _never_came()
    stood = _stood(trial, held)
    every, own = await listed(session, TABLES), await _own(session, held)
    locked = await lock_free(session, every)
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
        return _not_met(held, "the statement waited for none of the locked tables", every, {*locked, *own})
    return _proven(trial, held, {**seen, "tables": len(locked), "waiting_backend_pid": waiter, **stood})


async def _deadlock(cell: Cell, trial: Trial, asked: Asked, session: Session) -> Seen:
    """1. Lock what the target has not. 2. Wait for what it has. 3. Let the statement go. 4. See 40P01."""
    held = await _held(cell, trial, asked)
    if held is None:
        return _never_came()
    stood = _stood(trial, held)
    has = await _own(session, held)
    if not has:
        await session.rollback()
        return await _deadlock_within(cell, trial, held, stood)
    others = [table for table in await listed(session, TABLES) if table not in has]
    locked = await lock_free(session, others)
    waiting = asyncio.create_task(lock_one(session, has[0]))
    try:
        await _is_blocked(cell, held, waiting)
        began = time.monotonic()
        await _forward(cell, held)
        end = await _end_of(cell, held, session.info.backend_pid)
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await session.close()
    if end.is_victim and end.wanted is not None:
        return _proven(trial, held, {**Locked(has[0], end.wanted, held.backend_pid or 0).proof(began), **stood})
    if end.is_victim or end.answer is None or is_error(end.answer):
        return Seen(None, began, f"No receipt: no {DEADLOCK} was seen on the wire, with the table that it wanted.")
    words = "the statement wanted no table that the target had not locked"
    return _not_met(held, words, others, locked)


async def _deadlock_within(cell: Cell, trial: Trial, held: Held, stood: Proof) -> Seen:
    """Where the target holds nothing yet, what its request does within itself is what can end in a deadlock."""
    laid = RequestDeadlock(cell, held.message, held.backend_pid)
    try:
        await laid.hold()
        locked = await laid.meet(lambda: _forward(cell, held))
        began = time.monotonic()
        if locked is None:
            return _not_met(
                held,
                f"{_request(held)} that touches no second table can meet no deadlock",
                laid.tables,
                laid.locked,
            )
        end = await _end_of(cell, held, None)
    except TimeoutError:
        return Seen(None, time.monotonic(), "No receipt: the request neither waited nor was answered.")
    except NotShownError as error:
        return Seen(None, time.monotonic(), f"No receipt: {error}.")
    finally:
        await laid.close()
    if not end.is_victim:
        return Seen(None, began, f"No receipt: no {DEADLOCK} was seen on the wire.")
    return _proven(trial, held, {**locked.proof(began), **stood})


def _request(held: Held) -> str:
    return "a request over HTTP" if held.backend_pid is None else "a transaction's first statement"


async def _held(cell: Cell, trial: Trial, asked: Asked) -> Held | None:
    """The message at which the proxy holds the target; None when it never came."""
    event = await next_event(cell, asked, time.monotonic() + limit_of(cell, trial), late_s=LATE_EVENT_S)
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
    """The backend in which the statement waits for a lock of `blocker`; over HTTP, where none is known, any.

    Once the statement is answered, whoever waits does so for the next one, also in the same backend.
    """
    waiter = await _waiting(cell, blocker, held.backend_pid)
    return None if waiter is not None and await cell.answer_to(held.message) else waiter


async def _waiting(cell: Cell, blocker: int, backend: int | None = None) -> int | None:
    """A backend that waits for a lock of `blocker`: this one, or over HTTP, where none is known, any."""
    connection = await cell.direct()
    row = await (await connection.execute(_WAITING, (blocker, backend))).fetchone()
    return int(row[0]) if row else None


async def _own(session: Session, held: Held) -> list[Table]:
    """What the target's own backend has locked, so that another hand must wait for it."""
    return await listed(session, _HELD_BY, held.backend_pid) if held.backend_pid is not None else []


async def _is_blocked(cell: Cell, held: Held, waiting: asyncio.Task[None]) -> None:
    """Wait until our session waits for the target's, or has got the lock since the target has let it go."""
    ends = time.monotonic() + BLOCKED_LIMIT_S
    while await _waiting(cell, held.backend_pid or 0) is None and not waiting.done() and time.monotonic() < ends:
        await asyncio.sleep(WAIT_PAUSE_S)


@dataclass(frozen=True, slots=True)
class End:
    """How a statement that was let go into a deadlock ended: what it was seen to wait for, 40P01 or another answer."""

    wanted: Table | None
    is_victim: bool
    answer: Message | None


async def _end_of(cell: Cell, held: Held, blocker: int | None) -> End:
    """Follow it until it is the victim, or was answered; `blocker` is whose lock it may be seen to wait for."""
    ends = time.monotonic() + VICTIM_LIMIT_S
    wants, answer = None, None
    while time.monotonic() < ends:
        if blocker is not None and wants is None and answer is None:
            waiting = await wanted(await cell.direct(), [blocker], held.backend_pid)
            wants = waiting[0][1] if waiting else None
        if await _is_victim(cell, held.message.connection):
            return End(wants, True, answer)
        if answer is None and (answer := await cell.answer_to(held.message)):
            ends = min(ends, time.monotonic() + LATE_REFUSAL_S)  # its 40P01 may be told a little after its answer
    return End(wants, False, answer)


async def _is_victim(cell: Cell, connection: int) -> bool:
    """Whether the target's connection was answered with 40P01, as told by now or within a moment."""
    try:
        async with asyncio.timeout(WAIT_PAUSE_S):
            _, event = await cell.events.get()
    except TimeoutError:
        return False
    return isinstance(event, Refused) and event.sqlstate == DEADLOCK and event.connection == connection


def _not_met(held: Held, why: str, tables: Sequence[Table], locked: Collection[Table]) -> Seen:
    """It does not apply, unless one of the tables was not locked that may be the one.

    That is any for what names none or calls a function, else one of those that it names.
    """
    statement = held.message.fingerprint
    named = [] if calls_a_function(statement) else touched(statement, tables)
    left = [table for table in named or tables if table not in locked]
    if left:
        return Seen(None, time.monotonic(), f"No receipt: the table {'.'.join(left[0])} could not be locked meanwhile.")
    return _not_applicable(held, why)


def _not_applicable(held: Held, why: str) -> Seen:
    return Seen(None, time.monotonic(), f"Not applicable: {why}.", applies=False, met=held.message)


def _proven(trial: Trial, held: Held, proof: Proof) -> Seen:
    now = time.monotonic()
    return Seen(Receipt(trial.strike, held.message, now, proof), now)


def _never_came() -> Seen:
    return Seen(None, time.monotonic(), "No receipt: the moment never came.")


CONTENTION = {Strike.LOCK_HELD: lock_held, Strike.DEADLOCK: deadlock}
