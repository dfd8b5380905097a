"""A real deadlock in a request over HTTP, which is a transaction of its own and holds nothing when it begins.

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
from gates.chaos.strikes.table_locks import TABLES, WAIT_PAUSE_S, Injector, Table, injector, listed, lock_free, lock_one

DEADLOCK = "40P01"
MOST_TABLES = 60
STEP_LIMIT_S = 10.0
_WANTED = """
    SELECT l.pid, n.nspname, c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.locktype = 'relation' AND NOT l.granted AND l.pid <> ALL(%s)
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY l.pid LIMIT 2
"""


class MixedUpError(Exception):
    """More than one backend waits for the tables: which of them is the request's is not known."""


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


class Within:
    """Holds every table until `close`, each by a session of its own."""

    def __init__(self, cell: Cell, request: Message) -> None:
        self._cell = cell
        self._request = request
        self._stack = AsyncExitStack()
        self._holding: dict[Table, Injector] = {}
        self._asking: list[asyncio.Task[None]] = []

    async def hold(self) -> None:
        """Lock each table that nobody holds."""
        first = await self._stack.enter_async_context(injector(self._cell))
        for table in (await listed(first, TABLES))[:MOST_TABLES]:
            session = await self._stack.enter_async_context(injector(self._cell))
            await session.execute("SELECT 1")  # begins the transaction in which the lock is kept
            if await lock_free(session, [table]):
                self._holding[table] = session

    async def deadlock(self, let_go: Callable[[], Awaitable[None]]) -> Locked | None:
        """Let the request go into it; None where it was answered without wanting a second table.

        Raises TimeoutError where it neither waits nor is answered, MixedUpError where another waits as well.
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
            raise MixedUpError
        self._asking.append(asyncio.create_task(lock_one(self._holding[second[1]], had)))
        return Locked(had, second[1], pid)

    async def _wanted(self) -> tuple[int, Table] | None:
        """The backend of this database that waits for one of the tables, and which; None once the request is answered.

        Other cells' databases are copies of the same template: their tables have the same numbers. A server pools its
        sessions: once this request is answered, the same backend may wait for a table on behalf of the next one.
        """
        connection = await self._cell.direct()
        ours = [session.info.backend_pid for session in self._holding.values()]
        async with asyncio.timeout(STEP_LIMIT_S):
            while True:
                rows = await (await connection.execute(_WANTED, (ours,))).fetchall()
                if await self._cell.answered(self._request):
                    return None
                if len(rows) > 1:
                    raise MixedUpError
                if rows and (str(rows[0][1]), str(rows[0][2])) in self._holding:
                    return int(rows[0][0]), (str(rows[0][1]), str(rows[0][2]))
                await asyncio.sleep(WAIT_PAUSE_S)

    async def close(self) -> None:
        """Let every table go."""
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await self._stack.aclose()
