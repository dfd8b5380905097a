"""One connection of the target and what stands behind it, whatever the wire."""

import abc
import asyncio
import logging

from gates.chaos.messages import Direction
from gates.chaos.proxies.events import Closed
from gates.chaos.proxies.exchanges import Exchange
from gates.chaos.proxies.lines import STOPPED, Line
from gates.chaos.proxies.standing_message import StandingMessage
from gates.chaos.proxies.switchboard import Switchboard

log = logging.getLogger("proxy")

DRAIN_LIMIT_S = 5.0
MAXIMUM_HELD_BYTES = 16 * 1024 * 1024


class Session(abc.ABC):
    """Stops and goes on, loses its client, keeps or closes its server.

    A stopped way keeps what has been read and reads no more. `standings` counts the faults at work here; the server's
    side is not closed under them.
    """

    def __init__(self, board: Switchboard) -> None:
        self.board = board
        self.number = board.number()
        self.client = Line(self.from_client, self.client_ended)
        self.client_gone = False
        self.standings = 0
        self.backend_pid: int | None = None
        self.sqlstate = ""
        self.request_stops = 0
        self.answer_stops = 0
        self._kept = False
        self._closing: asyncio.Task[bool] | None = None
        board.sessions[self.number] = self
        if board.frozen:
            self.stop()

    # What each wire does in its own way.

    @abc.abstractmethod
    def from_client(self, data: bytes) -> None:
        """Bytes of the target. Raises BadBytesError."""

    @abc.abstractmethod
    def pump(self, way: Direction) -> None:
        """Go through what was kept while the way stood still."""

    @abc.abstractmethod
    def pass_request(self, exchange: Exchange) -> None: ...

    @abc.abstractmethod
    def pass_answer(self, exchange: Exchange) -> None: ...

    @abc.abstractmethod
    def answer_instead(self, exchange: Exchange, status: int, body: bytes, headers: dict[str, str]) -> None: ...

    @property
    @abc.abstractmethod
    def servers(self) -> int:
        """Connections to the server that are open."""

    @property
    @abc.abstractmethod
    def buffered_bytes(self) -> int:
        """What is kept here, both ways."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Throw away what was kept of the target's."""

    @abc.abstractmethod
    def pause_server(self, *, paused: bool) -> None: ...

    @abc.abstractmethod
    async def server_gone(self, limit_s: float) -> str: ...

    @abc.abstractmethod
    async def drain_server(self) -> bool:
        """Take in what the server still has to answer, then end its connection."""

    def answer_awaited(self, exchange: Exchange) -> bool:
        """A fault waits for the answer to `exchange`: whether the target has to say more for it to come."""
        return False

    # What all do alike.

    def release_answer(self, exchange: Exchange) -> None:
        """The answer is not to be held any longer."""
        exchange.hold_answer = False
        self.pass_answer(exchange)

    def release_long_answer(self, exchange: Exchange) -> None:
        """The answer is longer than is held: it passes, and a fault that waits for it has not struck."""
        standing, exchange.standing = exchange.standing, None
        if standing is not None:
            standing.answer_too_long()
        self.release_answer(exchange)

    def stop(self) -> None:
        for way in Direction:
            self.stop_way(way)

    def go_on(self) -> None:
        for way in Direction:
            self.go_on_way(way)
        self.close_when_over()

    def stop_way(self, way: Direction) -> None:
        if way is Direction.REQUEST:
            self.request_stops += 1
            self.client.pause(STOPPED)
        else:
            self.answer_stops += 1
            if not self.client_gone:
                self.pause_server(paused=True)

    def go_on_way(self, way: Direction) -> None:
        if way is Direction.REQUEST:
            self.request_stops -= 1
            if not self.request_stops:
                self.client.resume(STOPPED)
                self.guard(self.pump, way)
        else:
            self.answer_stops -= 1
            if not self.answer_stops:
                self.pause_server(paused=False)

    @property
    def answers_stand(self) -> bool:
        """Whether the way of answers stands still. Answers nobody will read any more are always taken in."""
        return bool(self.answer_stops) and not self.client_gone

    def strike(self, exchange: Exchange, direction: Direction) -> bool:
        """Let the fault that is armed for this message strike; False where none is."""
        armed = self.board.match(exchange, direction) if self.board.armed else None
        if armed is None:
            return False
        StandingMessage(self, exchange, direction, armed)
        return True

    def client_ended(self, reason: str) -> None:
        """The target hung up, or sent what is not the protocol."""
        if self.client_gone:
            return
        if reason:
            log.warning("Connection %d closed: %s", self.number, reason)
            self.drop_client(reset=False, reason=reason)
        else:
            self.client.close()
            self.client_gone = True
            self.board.tell(Closed(self.number))
            self.pause_server(paused=False)
        self.close_when_over()

    def drop_client(self, *, reset: bool, reason: str = "struck") -> int:
        """End the target's side and forget what it had on its way; its port."""
        if reset:
            self.client.reset()
        else:
            self.client.close()
        if not self.client_gone:
            self.client_gone = True
            self.forget()
            self.board.tell(Closed(self.number, reason))
            self.pause_server(paused=False)
        return self.client.port

    def keep_server(self) -> None:
        self._kept = True

    @property
    def closing(self) -> bool:
        """Whether the server's side is being closed."""
        return self._closing is not None

    @property
    def ghost(self) -> bool:
        return self.client_gone and self._kept and self._closing is None

    def close_when_over(self) -> None:
        """Close the server's side once nobody is before it and nothing stands here."""
        if self.client_gone and not self._kept and not self.standings and not self.request_stops:
            self.close_soon()

    def close_soon(self) -> None:
        if self._closing is None:
            self._closing = self.board.spawn(self._close_server())

    async def close_server(self) -> bool:
        """End the server's side, drained; False where answers were missing after the limit."""
        self.close_soon()
        assert self._closing is not None  # noqa: S101  made just above
        return await asyncio.shield(self._closing)

    async def _close_server(self) -> bool:
        try:
            return await self.drain_server()
        finally:
            self.board.sessions.pop(self.number, None)

    def guard(self, step, *arguments) -> None:  # type: ignore[no-untyped-def]
        """Run a step of the protocol outside of the lines, which guard their own."""
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001  one connection, never the proxy
            self.client_ended(str(error) or type(error).__name__)
