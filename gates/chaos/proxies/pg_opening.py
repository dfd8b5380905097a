"""From the first byte of a client to the first ReadyForQuery: encryption, the server's connection, authentication."""

import asyncio
import struct

from gates.chaos.messages import Direction
from gates.chaos.proxies.exchanges import Exchange
from gates.chaos.proxies.lines import STOPPED, BadBytesError, Line
from gates.chaos.proxies.pg_frames import HEADER_BYTES, LENGTH, SERVER_KINDS, sqlstate
from gates.chaos.proxies.pg_requests import CANCEL, CONNECT
from gates.chaos.proxies.pg_session import LedgerSession
from gates.chaos.proxies.pg_startup import (
    CANCEL_REQUEST,
    GSS_REQUEST,
    SSL_REQUEST,
    TLS_HELLO,
    Ears,
    Upstream,
    dial,
    first_packet,
    without_plus,
)

OPEN_LIMIT_S = 60.0
MAXIMUM_FRAME_BYTES = 64 * 1024
MAXIMUM_REQUESTS_FOR_ENCRYPTION = 3
AUTHENTICATED = b"R" + struct.pack(">II", 8, 0)


class Opening:
    """Leads a session to where messages begin. A connection that does not get there in a minute is closed."""

    def __init__(self, session: LedgerSession, ears: Ears, upstream: Upstream) -> None:
        self._session = session
        self._ears = ears
        self._upstream = upstream
        self._first = b""
        self._frames = bytearray()
        self._asked = 0
        self._authenticated = False
        self._exchange: Exchange | None = None
        self._alarm = asyncio.get_running_loop().call_later(OPEN_LIMIT_S, self._too_slow)
        session.opening = self
        session.client.on_bytes = self.from_client

    def end(self) -> None:
        self._alarm.cancel()

    def from_client(self, data: bytes) -> None:
        """What comes before the server is connected. Raises BadBytesError."""
        session = self._session
        if session.requests_wait:
            session.keep_request(data)
            return
        self._first += data
        if self._first[0] == TLS_HELLO and not session.client.secure:
            self._begin_tls()
            return
        packet = first_packet(self._first)
        if packet is None:
            return
        self._first = b""
        code, raw = packet
        if code in {SSL_REQUEST, GSS_REQUEST}:
            self._answer_encryption(code)
            return
        if code == CANCEL_REQUEST:
            exchange = Exchange("CANCEL", "cancel", answers=False, kind=CANCEL, request=raw)
        else:
            exchange = Exchange("CONNECT", "connect", kind=CONNECT, request=raw)
        session.board.note_request(exchange, session.number)
        if not session.strike(exchange, Direction.REQUEST):
            self.connect(exchange)

    def connect(self, exchange: Exchange) -> None:
        """Connect to the server and say the client's first packet."""
        self._exchange = exchange
        self._session.stop_way(Direction.REQUEST)
        self._session.board.spawn(self._connect(exchange))

    def from_server(self, data: bytes) -> None:
        """Authentication, frame by frame, up to the first ReadyForQuery. Raises BadBytesError."""
        session, exchange = self._session, self._exchange
        if session.answers_stand:
            session.keep_answer(data)
            return
        self._frames += data
        passed = bytearray()
        while exchange is not None and (frame := self._next_frame()):
            done = self._understand(frame, exchange)
            frame = frame if self._ears.own_key or self._upstream.tls is None else without_plus(frame)
            if exchange.hold_answer and (self._authenticated or done):
                exchange.answer = (exchange.answer or bytearray()) + frame
            else:
                passed += frame
            if done:
                break
        opened = exchange is not None and bool(exchange.outcome)
        if exchange is not None and opened:  # noted before the target can act on it
            session.board.note_answer(exchange, session.number)
        if passed:
            session.client.write(passed)
        if exchange is not None and opened:
            self._opened(exchange)

    async def _connect(self, exchange: Exchange) -> None:
        session = self._session
        try:
            server = await dial(self._upstream, self.from_server, session.server_ended)
        except OSError as error:
            session.client_ended(f"the server cannot be reached: {error or 'it is too slow'}")
            return
        finally:
            session.go_on_way(Direction.REQUEST)
        if session.closing:
            server.close()
            return
        session.server = server
        self._pair(server)
        if exchange.kind == CANCEL:
            self.end()
            server.on_bytes = _nothing
        else:
            if session.board.wants_answer(exchange):
                exchange.hold_answer = True
            session.outstanding.expect(exchange)
            session.client.on_bytes = session.from_client
        server.write(exchange.request)
        exchange.request = b""
        session.close_when_over()  # the client may have gone meanwhile

    def _pair(self, server: Line) -> None:
        client = self._session.client
        server.feed_from(client)
        client.feed_from(server)
        if self._session.answers_stand:
            server.pause(STOPPED)

    def _begin_tls(self) -> None:
        if self._ears.tls is None:
            raise BadBytesError("a TLS hello where none is due")
        hello, self._first = self._first, b""
        self._session.client.start_tls(self._ears.tls, server_side=True)
        self._session.client.data_received(hello)

    def _answer_encryption(self, code: int) -> None:
        self._asked += 1
        if self._asked > MAXIMUM_REQUESTS_FOR_ENCRYPTION or self._session.client.secure:
            raise BadBytesError("encryption is asked for again and again")
        willing = code == SSL_REQUEST and self._ears.tls is not None
        self._session.client.write(b"S" if willing else b"N")
        if willing and self._ears.tls is not None:
            self._session.client.start_tls(self._ears.tls, server_side=True)

    def _next_frame(self) -> bytes:
        """The next complete frame, taken out; empty where there is none. Raises BadBytesError."""
        if len(self._frames) < HEADER_BYTES:
            return b""
        length = LENGTH.unpack_from(self._frames, 1)[0]
        if self._frames[0] not in SERVER_KINDS or not 4 <= length <= MAXIMUM_FRAME_BYTES:
            raise BadBytesError(f"the server sent no PostgreSQL message: 0x{self._frames[0]:02x}, length {length}")
        if len(self._frames) < length + 1:
            return b""
        frame = bytes(self._frames[: length + 1])
        del self._frames[: length + 1]
        return frame

    def _understand(self, frame: bytes, exchange: Exchange) -> bool:
        """Whether this frame ends the opening."""
        session, kind = self._session, frame[:1]
        if frame == AUTHENTICATED:
            self._authenticated = True
        elif kind == b"K" and len(frame) >= HEADER_BYTES + 4:
            session.backend_pid = LENGTH.unpack_from(frame, HEADER_BYTES)[0]
        elif kind == b"E":
            session.outstanding.error(sqlstate(frame[HEADER_BYTES:]))
            session.outstanding.complete("")
        elif kind == b"Z":
            session.outstanding.complete("I", tag="connected")
        return bool(exchange.outcome)

    def _opened(self, exchange: Exchange) -> None:
        self.end()
        session = self._session
        if session.server is not None:
            session.server.on_bytes = session.from_server
        session.answer_complete(exchange)
        rest = bytes(self._frames)
        self._frames.clear()
        if rest:
            session.from_server(rest)

    def _too_slow(self) -> None:
        self._session.client_ended(f"it did not begin within {OPEN_LIMIT_S:.0f} s")


def _nothing(_data: bytes) -> None:
    """What a server says to a cancel request: nothing that matters."""
