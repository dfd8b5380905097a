"""A real deadlock within one request that holds nothing when it begins: a transaction of its own, as over HTTP and of a
function that books alone, or a transaction's first statement.

Each table is locked by a session of ours. The request is let go and wants its first table: that one is freed. Once it
waits for its second, the session that holds the second wants the first: neither can go on, and whose deadlock_timeout
fires first is the victim, which is never ours. A request that touches one table only can meet no deadlock.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gates.chaos.cells.cell import Cell
from gates.chaos.messages import Message, Proof
from gates.chaos.scenarios.statements import touched
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

DEADLOCK = "40P01"
MOST_TABLES = 60
STEP_LIMIT_S = 10.0


class NotShownError(Exception):
    """Nothing shows whether the request can meet a deadlock; the message says why."""


@dataclass(frozen=True, slots=True)
class Locked:
    """The two tables of a deadlock, and the target's server's backend in it."""

    had: Table
    wanted: Table
    backend_pid: int

    def proof(self, began: float) -> Proof:
        """What the receipt says; `began` is when the deadlock stood."""
        return {
            "sqlstate": DEADLOCK,
            "backend_pid": self.backend_pid,
            "target_had": ".".join(self.had),
            "target_wanted": ".".join(self.wanted),
            "after_ms": round((time.monotonic() - began) * 1000, 1),
        }


def is_error(answer: Message) -> bool:
    """Whether the ledger has refused a request: an error of PostgreSQL, or a status of HTTP that says so."""
    return answer.outcome.startswith("ERROR") or (answer.outcome.isdigit() and answer.outcome >= "4")


class RequestDeadlock:
    """A deadlock that is laid for one request: every table is held until `close`, each by a session of its own."""

    def __init__(self, cell: Cell, request: Message, backend_pid: int | None) -> None:
        self._cell = cell
        self._request = request
        self._backend = backend_pid
        self.tables: list[Table] = []
        self.locked: list[Table] = []
        self._stack = AsyncExitStack()
        self._holding: dict[Table, Session] = {}
        self._asking: list[asyncio.Task[None]] = []

    async def hold(self) -> None:
        """Lock each table that nobody holds, those first that the request names: `locked`, of all `tables`."""
        first = await self._stack.enter_async_context(locking_session(self._cell))
        every = await listed(first, TABLES)
        self.tables = list(dict.fromkeys([*touched(self._request.fingerprint, every), *every]))
        for table in self.tables[:MOST_TABLES]:
            session = await self._stack.enter_async_context(locking_session(self._cell))
            await session.execute("SELECT 1")  # begins the transaction in which the lock is kept
            if await lock_free(session, [table]):
                self._holding[table] = session
        self.locked = list(self._holding)

    async def meet(self, let_go: Callable[[], Awaitable[None]]) -> Locked | None:
        """Let the request go into it; None where it was answered without wanting a second table.

        Raises TimeoutError where it neither waits nor is answered, NotShownError where another waits as well or it was
        refused.
        """
        await let_go()
        first = await self._wanted()
        if first is None:
            return None
        pid, had = first
        await self._holding.pop(had).rollback()
        second = await self._wanted()
        if second is None:
            return None
        if second[0] != pid:
            raise NotShownError("another request waited for the locked tables as well")
        self._asking.append(asyncio.create_task(lock_one(self._holding[second[1]], had)))
        return Locked(had, second[1], pid)

    async def _wanted(self) -> tuple[int, Table] | None:
        """The backend that waits for one of the tables, and which; None once the request is answered.

        A server pools its sessions: once this request is answered, the same backend may wait for a table on behalf of
        the next one.
        """
        connection = await self._cell.direct()
        ours = [session.info.backend_pid for session in self._holding.values()]
        async with asyncio.timeout(STEP_LIMIT_S):
            while True:
                waiting = await wanted(connection, ours, self._backend)
                if answer := await self._cell.answer_to(self._request):
                    if is_error(answer):
                        raise NotShownError(f"the request was refused meanwhile: {answer.label}")
                    return None
                if len(waiting) > 1:
                    raise NotShownError("another request waited for the locked tables as well")
                if waiting and waiting[0][1] in self._holding:
                    return waiting[0]
                await asyncio.sleep(WAIT_PAUSE_S)

    async def close(self) -> None:
        """Let every table go."""
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await self._stack.aclose()
