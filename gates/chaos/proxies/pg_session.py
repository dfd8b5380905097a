"""One client of PostgreSQL and its server: relayed, named, held where a fault is armed."""

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, NoReturn

from gates.chaos.faults.moments import MissedError, NotApplicableError
from gates.chaos.messages import Direction
from gates.chaos.proxies import pg_answers as marks
from gates.chaos.proxies.events import Refused
from gates.chaos.proxies.exchanges import Exchange
from gates.chaos.proxies.lines import STOPPED, Line, within
from gates.chaos.proxies.pg_answers import Answers
from gates.chaos.proxies.pg_outstanding import Outstanding
from gates.chaos.proxies.pg_requests import CANCEL, CONNECT, PASS, UNNAMED, Requests
from gates.chaos.proxies.sessions import DRAIN_LIMIT_S, MAXIMUM_HELD_BYTES, Session
from gates.chaos.proxies.switchboard import Switchboard

if TYPE_CHECKING:
    from gates.chaos.proxies.pg_opening import Opening

log = logging.getLogger("proxy")


class LedgerSession(Session):
    """Relays messages once both ends are connected; `pg_opening` brings it there."""

    def __init__(self, board: Switchboard) -> None:
        self.server: Line | None = None
        self.opening: Opening | None = None
        self.requests = Requests()
        self.answers = Answers()
        self.outstanding = Outstanding(self.requests, self.answers, self.refused)
        self.server_over = False
        self._inbox: list[bytes] = []
        self._pieces: deque[tuple[bytes, Exchange | None]] = deque()
        self._unit = bytearray()
        self._streamed = False
        self._outbox: list[bytes] = []
        self._answered_pieces: deque[tuple[bytes, Exchange | None, bool]] = deque()
        self._holding = False
        super().__init__(board)

    # The way of requests.

    def from_client(self, data: bytes) -> None:
        if self.request_stops or self._pieces:
            self._inbox.append(data)
            return
        if self.board.armed or self._unit:
            self._streamed = self._streamed or (self.requests.mid_unit and not self._unit)
            self._take_pieces(data, self.requests.feed(data))
            return
        self._streamed = False
        for _end, exchange in self.requests.feed(data):
            if exchange is not PASS:
                if exchange.kind != UNNAMED:
                    self.board.note_request(exchange, self.number)
                self.outstanding.expect(exchange)
        self._send(data)

    @property
    def requests_wait(self) -> bool:
        """Whether what comes from the client has to be kept."""
        return bool(self.request_stops or self._pieces)

    def keep_request(self, data: bytes) -> None:
        self._inbox.append(data)

    def keep_answer(self, data: bytes) -> None:
        self._outbox.append(data)

    def _take_pieces(self, data: bytes, ends: list[tuple[int, Exchange]]) -> None:
        start = 0
        for end, exchange in ends:
            self._pieces.append((data[start:end], exchange))
            start = end
        if start < len(data):
            self._pieces.append((data[start:], None))
        self._pump_requests()

    def _pump_requests(self) -> None:
        while self._pieces and not self.request_stops:
            piece, exchange = self._pieces.popleft()
            self._unit += piece
            if exchange is not None and exchange.kind != UNNAMED:
                self._unit_complete(exchange)
            elif exchange or self._streamed or not self.board.armed or len(self._unit) > MAXIMUM_HELD_BYTES:
                if exchange is None:
                    self._streamed = True
                else:
                    self.outstanding.expect(exchange)
                self._send(self._unit)
                self._unit = bytearray()

    def _unit_complete(self, exchange: Exchange) -> None:
        exchange.request, self._unit = self._unit, bytearray()
        self.board.note_request(exchange, self.number)
        streamed, self._streamed = self._streamed, False
        if streamed:
            if armed := self.board.match(exchange, Direction.REQUEST):
                message = self.board.message(exchange, Direction.REQUEST, self.number)
                self.board.missed(armed.fault, message, "The message had begun to pass before it could be held")
            self.pass_request(exchange)
        elif not self.strike(exchange, Direction.REQUEST):
            self.pass_request(exchange)

    def pass_request(self, exchange: Exchange) -> None:
        if exchange.kind in {CONNECT, CANCEL}:
            if self.opening is not None:
                self.opening.connect(exchange)
            return
        raw, exchange.request = exchange.request, b""
        if self.board.armed and self.board.wants_answer(exchange):
            exchange.hold_answer = True
        self._holding = self._holding or exchange.hold_answer
        self.outstanding.expect(exchange)
        self._send(raw)

    def _send(self, raw: bytes | bytearray) -> None:
        if self.server is not None and not self.server_over:
            self.server.write(raw)

    # The way of answers.

    def from_server(self, data: bytes) -> None:
        if self.answers_stand:
            self._outbox.append(data)
            return
        said = self.answers.feed(data)
        if self._holding or self._answered_pieces:
            self._take_answers(data, said)
            return
        for mark in said:
            exchange = self.outstanding.follow(mark)
            if exchange is not None:
                self.board.note_answer(exchange, self.number)
        self.client.write(data)

    def _take_answers(self, data: bytes, said: list[marks.Mark]) -> None:
        start = 0
        for mark in said:
            exchange = self.outstanding.follow(mark)
            if exchange is not None:
                self._answered_pieces.append((data[start : mark[0]], exchange, True))
                start = mark[0]
        if start < len(data):
            self._answered_pieces.append((data[start:], self.outstanding.head, False))
        self._pump_answers()

    def _pump_answers(self) -> None:
        while self._answered_pieces and not self.answers_stand:
            piece, exchange, complete = self._answered_pieces.popleft()
            if exchange is not None and complete:  # noted before the target can act on it
                self.board.note_answer(exchange, self.number)
            if exchange is None or not exchange.hold_answer:
                self.client.write(piece)
            else:
                exchange.answer = exchange.answer or bytearray()
                exchange.answer += piece
                if len(exchange.answer) > MAXIMUM_HELD_BYTES:
                    self.release_long_answer(exchange)
            if exchange is not None and complete:
                self.answer_complete(exchange)
        if not self._answered_pieces:
            self._holding = any(exchange.hold_answer for exchange in self.outstanding.queue)

    def answer_complete(self, exchange: Exchange) -> None:
        if exchange.standing is not None:
            exchange.standing.answer_complete()
        elif exchange.hold_answer and not self.strike(exchange, Direction.ANSWER):
            self.pass_answer(exchange)

    def answer_awaited(self, exchange: Exchange) -> bool:
        return exchange.kind == CONNECT  # authentication is a dialogue

    def pass_answer(self, exchange: Exchange) -> None:
        answer, exchange.answer = exchange.answer, None
        if answer:
            self.client.write(answer)

    def refused(self, sqlstate: str) -> None:
        """The server answered with an error."""
        self.sqlstate = sqlstate
        self.board.tell(Refused(sqlstate, self.number, time.monotonic()))

    # Stopping, going on, ending.

    def pump(self, way: Direction) -> None:
        if way is Direction.REQUEST:
            self._pump_requests()
            while self._inbox and not self.requests_wait:
                self.client.on_bytes(self._inbox.pop(0))
            return
        self._pump_answers()
        while self.server and self._outbox and not self.answers_stand and not self._answered_pieces:
            self.server.on_bytes(self._outbox.pop(0))
        self._end_client_after_server()

    @property
    def servers(self) -> int:
        return int(self.server is not None and not self.server.gone.done())

    @property
    def buffered_bytes(self) -> int:
        kept = sum(map(len, self._inbox)) + sum(map(len, self._outbox)) + len(self._unit)
        kept += sum(len(exchange.answer or b"") for exchange in self.outstanding.queue)
        return kept + self.client.waiting_bytes + (self.server.waiting_bytes if self.server else 0)

    def forget(self) -> None:
        self._inbox.clear()
        self._pieces.clear()
        self._unit = bytearray()

    def answer_instead(self, exchange: Exchange, status: int, body: bytes, headers: dict[str, str]) -> NoReturn:
        raise NotApplicableError("Refusals with a status are a broker's; PostgreSQL has none")

    def pause_server(self, *, paused: bool) -> None:
        if self.server is not None:
            (self.server.pause if paused else self.server.resume)(STOPPED)
        if not paused:
            self.guard(self.pump, Direction.ANSWER)

    def server_ended(self, reason: str) -> None:
        """The server hung up: the target is told so after the last answer."""
        self.server_over = True
        if reason:
            log.warning("Connection %d: %s", self.number, reason)
        self.outstanding.wake()
        for exchange in self.outstanding.queue:
            if exchange.standing is not None:
                exchange.standing.server_ended()
        if self.server is not None:
            self.server.close()
        self._end_client_after_server()

    def _end_client_after_server(self) -> None:
        kept = self._outbox or self._answered_pieces
        if self.server_over and not self.client_gone and not kept and not self.answers_stand:
            for exchange in self.outstanding.queue:
                self.pass_answer(exchange)
            self.drop_client(reset=self.server is not None and self.server.was_reset, reason="the server hung up")
            self.close_when_over()

    async def server_gone(self, limit_s: float) -> str:
        if self.server is None:
            raise MissedError("There is no server behind this connection")
        until = asyncio.get_running_loop().time() + limit_s
        while not self.server_over and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.005)
        if not self.server_over:
            raise MissedError(f"The server did not hang up within {limit_s:g} s")
        return self.sqlstate

    async def drain_server(self) -> bool:
        if self.opening is not None:
            self.opening.end()
        if self.server is None:
            return True
        drained = True
        if self.outstanding.owed and self.outstanding.queue[0].kind != CONNECT and not self.server_over:
            self.outstanding.all_answered = asyncio.get_running_loop().create_future()
            drained = await within(self.outstanding.all_answered, DRAIN_LIMIT_S)
        self.server.close()
        await within(self.server.gone, DRAIN_LIMIT_S)
        return drained and not (self.outstanding.owed and self.server_over)
