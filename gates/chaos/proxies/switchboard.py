"""What all connections of one channel share: the recording, the counts, the armed faults, and what is held."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from gates.chaos.faults import Fault
from gates.chaos.faults.moments import NotApplicableError
from gates.chaos.messages import Channel, Direction, Message, Point, Proof, Receipt
from gates.chaos.proxies.events import Decision, Event, Held, Missed, Struck
from gates.chaos.proxies.exchanges import Exchange, said

if TYPE_CHECKING:
    from gates.chaos.proxies.doors import Door
    from gates.chaos.proxies.http_pool import Pool
    from gates.chaos.proxies.sessions import Session

log = logging.getLogger("proxy")

MAXIMUM_RECORDED = 200_000
MAXIMUM_FINGERPRINTS = 100_000
MAXIMUM_ARMED = 1_000
HOLD_LIMIT_S = 120.0


@dataclass(eq=False)
class Armed:
    """A fault and where it strikes; `times` strikes are left, None means always. A message stands `hold_ms` before."""

    where: Point | Direction
    fault: Fault
    times: int | None
    hold_ms: int = 0


@dataclass(frozen=True, eq=False)
class Waiting:
    """A held message: what its owner decides, and whether that is carried out."""

    decision: asyncio.Future[tuple[Decision, Proof]]
    carried_out: asyncio.Future[None]


class Switchboard:
    """One channel. Everything runs in one event loop, so a decision made here holds for all connections at once."""

    def __init__(self, channel: Channel, tell: Callable[[Event], None]) -> None:
        self.channel = channel
        self.tell = tell
        self.sessions: dict[int, Session] = {}
        self.armed: list[Armed] = []
        self.door: Door | None = None
        self.pool: Pool | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.unrecorded = 0
        self.frozen = 0
        self._recording: list[tuple[Direction, str, int, str, float, int, str]] = []
        self._counts: dict[str, int] = defaultdict(int)
        self._held: dict[int, Waiting] = {}
        self._numbers = count(1)

    @property
    def held(self) -> int:
        return len(self._held)

    @property
    def recorded(self) -> int:
        return len(self._recording)

    def number(self) -> int:
        """A number nobody else has: of a connection, of a held message."""
        return next(self._numbers)

    def note_request(self, exchange: Exchange, connection: int) -> None:
        """Count a request and record it."""
        self._count(exchange)
        self._note(exchange, Direction.REQUEST, connection)

    def note_line(self, exchange: Exchange, connection: int) -> None:
        """Count a line of a stream, which nobody asked for, and record it."""
        self._count(exchange)
        self._note(exchange, Direction.ANSWER, connection)

    def note_answer(self, exchange: Exchange, connection: int) -> None:
        """Record the answer to a counted request."""
        self._note(exchange, Direction.ANSWER, connection)

    def recording(self) -> list[list[Any]]:
        """The messages since the last reset, as JSON carries them."""
        return [said(self.channel, *noted).shape() for noted in self._recording]

    def message(self, exchange: Exchange, direction: Direction, connection: int) -> Message:
        return said(self.channel, *exchange.noted(direction, time.monotonic(), connection))

    def match(self, exchange: Exchange, direction: Direction) -> Armed | None:
        """The fault armed for that message, one strike of it used up."""
        for armed in self.armed:
            where = armed.where
            if where is direction or (
                isinstance(where, Point)
                and where.occurrence == exchange.occurrence
                and where.direction is direction
                and where.fingerprint == exchange.fingerprint
            ):
                if armed.times is not None:
                    armed.times -= 1
                    if armed.times <= 0:
                        self.armed.remove(armed)
                return armed
        return None

    def wants_answer(self, exchange: Exchange) -> bool:
        """Whether a fault is armed for the answer to come."""
        return exchange.answers and any(
            armed.where is Direction.ANSWER
            or (
                isinstance(armed.where, Point)
                and armed.where.direction is Direction.ANSWER
                and armed.where.occurrence == exchange.occurrence
                and armed.where.fingerprint == exchange.fingerprint
            )
            for armed in self.armed
        )

    def struck(self, fault: Fault, message: Message, proof: Proof) -> None:
        self.tell(Struck(Receipt(fault.strike, message, time.monotonic(), proof)))

    def missed(self, fault: Fault, message: Message | None, why: Exception | str) -> None:
        self.tell(Missed(fault.strike, message, str(why), not isinstance(why, NotApplicableError)))

    def freeze(self) -> None:
        """Nothing passes on the whole channel."""
        self.frozen += 1
        if self.frozen == 1:
            for session in self.sessions.values():
                session.stop()
            if self.door is not None:
                self.door.freeze()

    def thaw(self) -> None:
        self.frozen -= 1
        if not self.frozen:
            if self.door is not None:
                self.door.thaw()
            for session in list(self.sessions.values()):
                session.go_on()

    @asynccontextmanager
    async def owner_decides(self, held: Held) -> AsyncIterator[tuple[Decision, Proof]]:
        """What the owner decides about a held message; carried out when the block is over. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        waiting = self._held[held.held_id] = Waiting(loop.create_future(), loop.create_future())
        self.tell(held)
        try:
            async with asyncio.timeout(HOLD_LIMIT_S):
                decided = await waiting.decision
            yield decided
        finally:
            del self._held[held.held_id]
            waiting.carried_out.set_result(None)

    async def decide(self, held_id: int, decision: Decision, proof: Proof) -> bool:
        """True once it is carried out; False where nothing is held under that number."""
        waiting = self._held.get(held_id)
        if waiting is None or waiting.decision.done():
            return False
        waiting.decision.set_result((decision, proof))
        await asyncio.shield(waiting.carried_out)
        return True

    def abandon(self) -> int:
        """The target is dead: whatever it had on its way is thrown away, the servers' sides stay open; how many."""
        sessions = list(self.sessions.values())
        left_open = sum(session.servers for session in sessions if not session.closing)
        for session in sessions:
            session.keep_server()
            session.drop_client(reset=True)
        if self.door is not None:
            self.door.discard_waiting()
        return left_open

    def spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        """Run it beside everything else; it is counted, and its failure logged."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def close_servers(self, connection: int | None) -> bool:
        """Close the servers' sides behind connections whose target is gone; False where one was not drained."""
        chosen = [
            session
            for session in list(self.sessions.values())
            if session.client_gone and connection in {None, session.number}
        ]
        return all(await asyncio.gather(*(session.close_server() for session in chosen)))

    async def reset(self) -> None:
        """Begin anew: nothing armed, nothing held, no connection, no recording."""
        self.armed.clear()
        for waiting in self._held.values():
            if not waiting.decision.done():
                waiting.decision.set_result((Decision.DISCARD, {}))
        for session in list(self.sessions.values()):
            session.drop_client(reset=True)
        if self.door is not None:
            self.door.reopen()
        await asyncio.gather(*(session.close_server() for session in list(self.sessions.values())))
        if self.pool is not None:
            await self.pool.close()
        for task in list(self.tasks):
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(
            *(task for task in self.tasks if task is not asyncio.current_task()), return_exceptions=True
        )
        self._recording.clear()
        self._counts.clear()
        self.unrecorded = 0

    def _count(self, exchange: Exchange) -> None:
        counts = self._counts
        if exchange.fingerprint in counts or len(counts) < MAXIMUM_FINGERPRINTS:
            counts[exchange.fingerprint] += 1
            exchange.occurrence = counts[exchange.fingerprint]

    def _note(self, exchange: Exchange, direction: Direction, connection: int) -> None:
        if len(self._recording) < MAXIMUM_RECORDED:
            # Plain values only: the garbage collector soon stops looking at such tuples.
            self._recording.append(exchange.noted(direction, time.monotonic(), connection))
        else:
            self.unrecorded += 1

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("A task of the proxy failed", exc_info=task.exception())
