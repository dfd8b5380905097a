"""One client of a broker: requests held whole, answers relayed as they come, streams line by line."""

import asyncio
import logging
import ssl
from collections import deque
from typing import NoReturn

from gates.chaos.faults.moments import NotApplicableError
from gates.chaos.messages import Direction
from gates.chaos.proxies import http_frames as frames
from gates.chaos.proxies.exchanges import Exchange
from gates.chaos.proxies.http_answers import AnswerReader
from gates.chaos.proxies.http_exchanges import WebExchange, chunk, named, plain_answer, stream_line
from gates.chaos.proxies.http_pool import Pool, Server
from gates.chaos.proxies.http_requests import Request, RequestReader
from gates.chaos.proxies.lines import STOPPED, BadBytesError, within
from gates.chaos.proxies.sessions import DRAIN_LIMIT_S, MAXIMUM_HELD_BYTES, Session
from gates.chaos.proxies.switchboard import Switchboard

log = logging.getLogger("proxy")

TLS_HELLO = 0x16
BUSY = 4
HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"expect", b"upgrade"))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class WebSession(Session):
    """One exchange at a time; a client that sends the next request early waits."""

    def __init__(self, board: Switchboard, pool: Pool, tls: ssl.SSLContext | None) -> None:
        self.server: Server | None = None
        self._pool = pool
        self._tls = tls
        self._begun = False
        self._inbox: list[bytes] = []
        self._reader = RequestReader()
        self._current: WebExchange | None = None
        self._outbox: list[bytes] = []
        self._answer = AnswerReader()
        self._lines: deque[bytes] = deque()
        self._server_over = False
        self._answered: asyncio.Future[None] | None = None
        super().__init__(board)

    # The way of requests.

    def from_client(self, data: bytes) -> None:
        if self.request_stops or self._current is not None:
            self._inbox.append(data)
            self.client.pause(BUSY)
            return
        if not self._begun:
            self._begun = True
            if data[0] == TLS_HELLO and not self.client.secure:
                self._begin_tls(data)
                return
        request = self._reader.feed(data)
        if request is not None:
            self._request_complete(request)
        elif self._reader.continues:
            self.client.write(CONTINUE)

    def _begin_tls(self, hello: bytes) -> None:
        if self._tls is None:
            raise BadBytesError("a TLS hello where none is due")
        self._begun = False
        self.client.start_tls(self._tls, server_side=True)
        self.client.data_received(hello)

    def _request_complete(self, request: Request) -> None:
        head, whole = request.head, request.whole
        if request.rest:
            self._inbox.insert(0, request.rest)
        fingerprint, label = named(head.method, head.target)
        exchange = WebExchange(fingerprint, label, method=head.method, last=head.last)
        host = self._pool.origin.host
        if host is not None or not HOP_BY_HOP.isdisjoint(head.headers):
            whole = frames.without(head.raw, HOP_BY_HOP, host) + whole[len(head.raw) :]
        exchange.request = whole
        self._current = exchange
        self.board.note_request(exchange, self.number)
        if not self.strike(exchange, Direction.REQUEST):
            self.pass_request(exchange)

    def pass_request(self, exchange: Exchange) -> None:
        if self.board.armed and self.board.wants_answer(exchange):
            exchange.hold_answer = True
        server = self._pool.idle()
        if server is not None:
            self._send(exchange, server)
        else:
            self.standings += 1  # a client that goes meanwhile does not take its request with it
            self.board.spawn(self._dial_and_send(exchange))

    async def _dial_and_send(self, exchange: Exchange) -> None:
        try:
            server = await self._pool.dial()
            if self.closing:
                server.line.close()
            else:
                self._send(exchange, server)
        except OSError as error:
            self.client_ended(f"the server cannot be reached: {error or 'it is too slow'}")
        finally:
            self.standings -= 1
            self.close_when_over()

    def _send(self, exchange: Exchange, server: Server) -> None:
        self.server = server
        self._server_over = False
        self._answer = AnswerReader()
        server.use(self.from_server, self.server_ended)
        server.line.feed_from(self.client)
        self.client.feed_from(server.line)
        if self.answers_stand:
            server.line.pause(STOPPED)
        server.line.write(exchange.request)
        exchange.request = b""

    # The way of answers.

    def from_server(self, data: bytes) -> None:
        if self.answers_stand:
            self._outbox.append(data)
            return
        exchange, answer = self._current, self._answer
        if exchange is None or exchange.complete:
            raise BadBytesError("the server says more than its answer")
        passing = answer.feed(data, exchange.method)
        while answer.interim:
            self.client.write(answer.interim.pop(0))
        if answer.head is None:
            return
        if not exchange.outcome:
            exchange.outcome = str(answer.head.status)
            if answer.lines is not None:
                self._begin_stream(exchange, answer.head)
        if answer.lines is not None:
            self._lines.extend(answer.lines)
            answer.lines.clear()
            self._pump_lines()
        else:
            self._pass_piece(exchange, passing)

    def _pass_piece(self, exchange: WebExchange, piece: bytes | bytearray) -> None:
        if self._answer.done:  # noted first: what the target does on it must come behind it in every recording
            self.board.note_answer(exchange, self.number)
        if not exchange.hold_answer:
            self.client.write(piece)
        else:
            exchange.answer = (exchange.answer or bytearray()) + piece
            if len(exchange.answer) > MAXIMUM_HELD_BYTES:
                self.release_long_answer(exchange)
        if self._answer.done:
            self._answer_complete(exchange)

    def _answer_complete(self, exchange: WebExchange) -> None:
        exchange.complete = True
        self._let_server_go()
        self._strike_or_pass(exchange)

    def _strike_or_pass(self, exchange: WebExchange) -> None:
        if exchange.standing is not None:
            exchange.standing.answer_complete()
        elif not exchange.hold_answer or not self.strike(exchange, Direction.ANSWER):
            self.pass_answer(exchange)

    def pass_answer(self, exchange: Exchange) -> None:
        answer, exchange.answer = exchange.answer, None
        if answer:
            self.client.write(answer)
        if exchange is self._current and self._current.complete:
            self._exchange_over()

    def answer_instead(self, exchange: Exchange, status: int, body: bytes, headers: dict[str, str]) -> None:
        if not isinstance(exchange, WebExchange):
            raise NotApplicableError("Only a request can be refused")
        exchange.outcome, exchange.complete = str(status), True
        exchange.answer = bytearray(plain_answer(status, body, headers))
        self.board.note_answer(exchange, self.number)
        self.pass_answer(exchange)

    def _begin_stream(self, exchange: WebExchange, head: frames.Head) -> None:
        """The head is the answer; what follows are lines, each a message of its own."""
        exchange.answer = bytearray(head.raw)
        self.board.note_answer(exchange, self.number)
        self._strike_or_pass(exchange)

    def _pump_lines(self) -> None:
        exchange = self._current
        if exchange is None:
            return
        while self._lines and not self.answers_stand:
            told = stream_line(exchange, self._lines.popleft())
            self.board.note_line(told, self.number)
            if not self.strike(told, Direction.ANSWER):
                self.pass_answer(told)
        if self._answer.done and not self._lines and not self.answers_stand and not exchange.complete:
            exchange.complete = True
            exchange.answer = bytearray(b"0\r\n%b\r\n" % self._answer.trailers)
            self._let_server_go()
            self.pass_answer(exchange)

    def _let_server_go(self) -> None:
        server, self.server = self.server, None
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
        self.client.feed_from(None)
        if server is None:
            return
        head = self._answer.head
        if self._server_over or head is None or head.last:
            self._pool.drop(server)
        else:
            self._pool.release(server)

    def _exchange_over(self) -> None:
        exchange, self._current = self._current, None
        head = self._answer.head
        if (exchange is not None and exchange.last) or (head is not None and head.last) or self._server_over:
            self.drop_client(reset=False, reason="")
            self.close_when_over()
            return
        self.guard(self.pump, Direction.REQUEST)

    # Stopping, going on, ending.

    def pump(self, way: Direction) -> None:
        if way is Direction.REQUEST:
            while self._inbox and not self.request_stops and self._current is None:
                self.from_client(self._inbox.pop(0))
            if not self._inbox:
                self.client.resume(BUSY)
            return
        self._pump_lines()
        while self._outbox and not self.answers_stand and not self._lines:
            self.from_server(self._outbox.pop(0))
        self._end_after_server()

    def forget(self) -> None:
        self._inbox.clear()
        self._reader = RequestReader()

    @property
    def servers(self) -> int:
        return int(self.server is not None and not self.server.line.gone.done())

    @property
    def buffered_bytes(self) -> int:
        kept = sum(map(len, self._inbox)) + sum(map(len, self._outbox)) + sum(map(len, self._lines)) + len(self._reader)
        kept += len(self._current.answer or b"") if self._current else 0
        return kept + self.client.waiting_bytes + (self.server.line.waiting_bytes if self.server else 0)

    def pause_server(self, *, paused: bool) -> None:
        if self.server is not None:
            (self.server.line.pause if paused else self.server.line.resume)(STOPPED)
        if not paused:
            self.guard(self.pump, Direction.ANSWER)

    def server_ended(self, reason: str) -> None:
        """The server hung up: the answer is over, or it never will be."""
        self._server_over = True
        if reason:
            log.warning("Connection %d: %s", self.number, reason)
        self._end_after_server()

    def _end_after_server(self) -> None:
        exchange = self._current
        if not self._server_over or exchange is None or exchange.complete or self._outbox or self._lines:
            return
        if self.answers_stand:
            return
        if isinstance(self._answer.body, frames.EndlessBody) and self._answer.head is not None:
            self.board.note_answer(exchange, self.number)
            self._answer_complete(exchange)
            return
        if exchange.standing is not None:
            exchange.standing.server_ended()
        if rest := self._answer.rest():  # of a line that was cut: no message, and the target's to see
            self.client.write(chunk(rest))
        server = self.server
        self._let_server_go()
        self.pass_answer(exchange)
        self.drop_client(reset=server is not None and server.line.was_reset, reason="the server hung up")
        self.close_when_over()

    async def server_gone(self, limit_s: float) -> NoReturn:
        raise NotApplicableError("Over HTTP there is no backend to terminate")

    async def drain_server(self) -> bool:
        exchange, drained = self._current, True
        if self.server is not None and exchange is not None and not exchange.complete and self._answer.lines is None:
            self._answered = asyncio.get_running_loop().create_future()
            drained = await within(self._answered, DRAIN_LIMIT_S)
        if self.server is not None:
            self.server.line.close()
            await within(self.server.line.gone, DRAIN_LIMIT_S)
        return drained
