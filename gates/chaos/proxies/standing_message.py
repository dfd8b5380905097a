"""A message that stands at the proxy while a fault strikes it."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gates.chaos.faults.fault import whole_time
from gates.chaos.faults.moments import ANSWER_LIMIT_S, MissedError, NotApplicableError
from gates.chaos.messages import KILLS, Direction, Proof, Side, Strike
from gates.chaos.proxies.events import Decision, Held
from gates.chaos.proxies.exchanges import Exchange

if TYPE_CHECKING:
    from gates.chaos.proxies.sessions import Session
    from gates.chaos.proxies.switchboard import Armed

log = logging.getLogger("proxy")

HUNG_UP_PAUSE_S = 0.02  # nobody is told of an end while nothing is read: it is looked for
KEPT_PAUSE_S = 0.02
DEATH_SEEN_LIMIT_S = 3.0


async def seen(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether it came to hold in time."""
    ends = time.monotonic() + limit_s
    while not (holds := condition()) and time.monotonic() < ends:
        await asyncio.sleep(HUNG_UP_PAUSE_S)
    return holds


class StandingMessage:
    """Implements `faults.moments.Moment`. Its way of the connection stands still from the first moment on."""

    def __init__(self, session: "Session", exchange: Exchange, direction: Direction, armed: "Armed") -> None:
        self.message = session.board.message(exchange, direction, session.number)
        self._session = session
        self._board = session.board
        self._exchange = exchange
        self._direction = direction
        self._fault = armed.fault
        self._hold_ms = armed.hold_ms
        self._stands = True
        self._frozen = False
        self._stopped = False
        self._answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        session.standings += 1
        session.stop_way(direction)
        self._ways = [direction]
        if not self._hold_ms:
            self._freeze_first()
        self._board.spawn(self._run())

    @property
    def backend_pid(self) -> int | None:
        return self._session.backend_pid

    def answer_complete(self) -> None:
        """The answer this waits for is at the proxy."""
        self._session.stop_way(Direction.ANSWER)
        self._ways.append(Direction.ANSWER)
        if self._fault.freezes is Side.AFTER:
            self._freeze()
        if not self._answered.done():
            self._answered.set_result(self._exchange.outcome)

    async def whole_answer(self, limit_s: float = ANSWER_LIMIT_S) -> str:
        if self._direction is Direction.ANSWER:
            return self._exchange.outcome
        if not self._exchange.answers:
            raise NotApplicableError(f"No answer is due to {self.message.label}")
        self._exchange.hold_answer = True
        self._exchange.standing = self
        self._pass_on()
        if self._session.answer_awaited(self._exchange):
            self._let_go()
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(self._answered)
        except TimeoutError:
            raise MissedError(f"{self.message.label} was not answered within {limit_s:g} s") from None

    def server_ended(self) -> None:
        """The server hung up before the answer was complete."""
        self._unanswered(f"The server hung up instead of answering {self.message.label}")

    def answer_too_long(self) -> None:
        """The answer this waits for is longer than is held, and has begun to pass."""
        self._unanswered(f"The answer to {self.message.label} is too long to be held; it passes")

    def _unanswered(self, why: str) -> None:
        if not self._answered.done():
            self._answered.set_exception(MissedError(why))
            self._answered.exception()  # seen, also where nobody waits

    def deliver(self) -> None:
        if self._stands:
            self._pass_on()

    def deliver_instead(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._session.answer_instead(self._exchange, status, body, headers)
        self._stands = False

    async def owner_decides(self, strike: Strike) -> Proof:
        held = Held(self._board.number(), strike, self.message, self.backend_pid)
        try:
            async with self._board.owner_decides(held) as (decision, proof):
                if decision is Decision.DISCARD:
                    return {**proof, "left_open": await self._abandoned(strike)}
        except TimeoutError:
            raise MissedError(f"Nobody decided about {self.message.label} in time; it passes") from None
        if strike in KILLS:
            raise MissedError(f"The owner let {self.message.label} pass")
        return proof

    async def _abandoned(self, strike: Strike) -> int:
        """The servers' connections left open. Raises MissedError where who sent the message is not seen dead of a kill.

        The kernel ends a dead process's connections with it: one that stays open is that of somebody who was not
        killed (in a container, on another host, a daemon that nobody knows of), or who shares it.
        """
        self._stands = False
        self._session.client.read_off()
        ended = strike not in KILLS or await seen(lambda: self._session.client.hung_up, DEATH_SEEN_LIMIT_S)
        left_open = self._board.abandon()
        if not ended:
            raise MissedError(f"Whoever sent {self.message.label} outlived the kill: its connection stayed open")
        return left_open

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._session.stop()

    async def hung_up(self, limit_s: float) -> bool:
        return await seen(lambda: self._session.client_gone or self._session.client.hung_up, limit_s)

    def drop_client(self, *, reset: bool) -> int:
        self._stands = False
        return self._session.drop_client(reset=reset)

    async def close_server(self) -> bool:
        return await self._session.close_server()

    def keep_server(self) -> None:
        if not self._session.servers:
            raise NotApplicableError(f"No connection to the server stands behind {self.message.label}")
        self._session.keep_server()

    async def kept_server(self, keep_ms: int) -> float:
        began = time.monotonic()
        while (kept_ms := (time.monotonic() - began) * 1000) < keep_ms:
            if not self._session.servers:
                raise MissedError(f"The server ended the connection of {self.message.label} within {keep_ms} ms")
            await asyncio.sleep(KEPT_PAUSE_S)
        return round(kept_ms, 1)

    async def server_gone(self, limit_s: float) -> str:
        if self._direction is Direction.ANSWER:
            self.deliver()
            self._let_go()
        self._stands = False
        return await self._session.server_gone(limit_s)

    async def refuse_connections(self, duration_ms: int, within_ms: int) -> int:
        door, sessions = self._board.door, list(self._board.sessions.values())
        if door is None:
            raise NotApplicableError("This channel has no door")
        self._stands = False
        door.shut()
        try:
            cut = sum(not session.client_gone for session in sessions)
            for session in sessions:
                session.drop_client(reset=True)
                self._board.spawn(session.close_server())
            if not await door.somebody_came(within_ms / 1000):
                raise NotApplicableError(f"Nobody asked for a connection within {within_ms} ms, so none was refused")
            await whole_time(duration_ms)
        finally:
            door.reopen()
        return cut

    async def _run(self) -> None:
        try:
            self._demand_awaited()
            held = await self._held()
            proof = {**await self._fault.hit(self), **held}
        except MissedError as why:
            self._board.missed(self._fault, self.message, why)
            self._release()
        except Exception as error:
            log.exception("%s failed at %s", self._fault.strike, self.message.label)
            self._board.missed(self._fault, self.message, f"The fault itself failed: {error}")
            self._release()
        else:
            self._board.struck(self._fault, self.message, proof)
        finally:
            self._finish()

    def _demand_awaited(self) -> None:
        """Nothing but a kill reaches a target that had hung up before its answer came. Raises MissedError."""
        if self._is_alone() and self._direction is Direction.ANSWER:
            raise MissedError(f"The target had hung up before {self.message.label}")

    def _is_alone(self) -> bool:
        """Whether nobody is there any more whom the fault could reach; a kill reaches him all the same."""
        gone = self._session.client_gone or self._session.client.hung_up
        return gone and self._fault.strike not in KILLS

    def _release(self) -> None:
        """The fault did not strike: everything goes on as if it had never been."""
        if self._exchange.standing is self:
            self._exchange.standing = None
            self._session.release_answer(self._exchange)
        self.deliver()

    def _finish(self) -> None:
        self._let_go()
        if self._stopped:
            self._session.go_on()
        if self._frozen:
            self._board.thaw()
        self._session.standings -= 1
        self._session.close_when_over()

    def _pass_on(self) -> None:
        self._stands = False
        if self._direction is Direction.REQUEST:
            self._session.pass_request(self._exchange)
        else:
            self._session.pass_answer(self._exchange)

    def _let_go(self) -> None:
        ways, self._ways = self._ways, []
        for way in ways:
            self._session.go_on_way(way)

    async def _held(self) -> Proof:
        """Let the message stand for its time, while all others pass."""
        if not self._hold_ms:
            return {}
        held_ms = await whole_time(self._hold_ms)
        if self._is_alone():
            raise MissedError(f"The target hung up while {self.message.label} stood for {held_ms:g} ms")
        self._freeze_first()
        return {"held_ms": held_ms}

    def _freeze_first(self) -> None:
        """Before a kill nothing more passes, from the moment on that its message arrives or its answer is complete."""
        freezes = self._fault.freezes
        if freezes is Side.BEFORE or (freezes is Side.AFTER and self._direction is Direction.ANSWER):
            self._freeze()

    def _freeze(self) -> None:
        if not self._frozen:
            self._frozen = True
            self._board.freeze()
