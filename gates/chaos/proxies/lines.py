"""One socket as a proxy sees it: bytes in, bytes out, plain or TLS, paused, reset or closed on purpose."""

import asyncio
import logging
import select
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import cast

log = logging.getLogger("proxy")

RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close sends RST
ENDED_BY_OTHER = getattr(select, "POLLRDHUP", select.POLLHUP)  # a FIN, where a system can tell it from unread bytes
HIGH_WATER_BYTES = 256 * 1024
PLAIN_BYTES = 64 * 1024
CLOSE_LIMIT_S = 5.0

# Why reading is paused; it goes on when no reason is left.
STOPPED = 1
PRESSURE = 2


async def within(awaited: asyncio.Future[None], limit_s: float) -> bool:
    """Whether it came to be in time."""
    try:
        async with asyncio.timeout(limit_s):
            await asyncio.shield(awaited)
    except TimeoutError:
        return False
    return True


class BadBytesError(Exception):
    """What came over the wire is not the protocol; the message says what is wrong. It ends its connection only."""


class Line(asyncio.Protocol):
    """A connected socket.

    `on_bytes` gets what is read (after TLS), `on_end` is called once, with the reason, when the other side ended it or
    sent what is not the protocol. Every byte costs a call here, so there is no queue and no task.
    """

    def __init__(self, on_bytes: Callable[[bytes], None], on_end: Callable[[str], None]) -> None:
        self.on_bytes = on_bytes
        self.on_end = on_end
        self.on_secure: Callable[[], None] | None = None
        self.feeder: Line | None = None
        self.port = 0
        self.was_reset = False
        self.gone = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._tls: Tls | None = None
        self._paused = 0
        self._full = False
        self._ended = False
        self._discarding = False

    @property
    def secure(self) -> bool:
        return self._tls is not None

    @property
    def waiting_bytes(self) -> int:
        """Written, but not yet taken by the other side."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    @property
    def hung_up(self) -> bool:
        """Whether the other side has ended it, also while nothing is read of it."""
        if self._transport is None or self._ended:
            return True
        looking = select.poll()
        looking.register(self._transport.get_extra_info("socket").fileno(), ENDED_BY_OTHER)
        return bool(looking.poll(0))

    def feed_from(self, feeder: "Line | None") -> None:
        """What `feeder` reads is written here from now on: it reads no faster than the other side takes.

        Who fed it before is held up by it no longer.
        """
        before, self.feeder = self.feeder, feeder
        if before is not None:
            before.resume(PRESSURE)
        if feeder is not None and self._full:
            feeder.pause(PRESSURE)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        self.port = (transport.get_extra_info("peername") or (0, 0))[1]
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._paused:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            return
        try:
            if self._tls is None:
                self.on_bytes(data)
            else:
                self._tls.take(data)
        except BadBytesError as bad:
            self._end(str(bad))
        except Exception:
            log.exception("A connection failed and is closed")
            self._end("an error of the proxy")

    def eof_received(self) -> bool:
        self._end("")
        return True  # our side stays open: what the other asked before may still be answered

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.was_reset = error is not None
        if not self.gone.done():
            self.gone.set_result(None)
        self._end("")
        self.resume_writing()

    def pause_writing(self) -> None:
        self._full = True
        if self.feeder is not None:
            self.feeder.pause(PRESSURE)

    def resume_writing(self) -> None:
        self._full = False
        if self.feeder is not None:
            self.feeder.resume(PRESSURE)

    def write(self, data: bytes | bytearray) -> None:
        """Send; silently nothing where the line is gone, as its end has been told."""
        if self._transport is None or self._discarding:
            return
        if self._tls is None:
            self._transport.write(data)
        else:
            self._tls.give(data)

    def write_raw(self, data: bytes) -> None:
        """Send under TLS, as its records."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def start_tls(self, context: ssl.SSLContext, *, server_side: bool, hostname: str | None = None) -> None:
        """From here on the bytes are TLS; `on_secure` is called when the handshake is over."""
        self._tls = Tls(self, context, server_side=server_side, hostname=hostname)
        if not server_side:
            self._tls.take(b"")

    def pause(self, reason: int) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        self._paused |= reason

    def resume(self, reason: int) -> None:
        before, self._paused = self._paused, self._paused & ~reason
        if before and not self._paused and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def reset(self) -> None:
        """End it with RST; nothing is sent any more."""
        self._discarding = True
        if self._transport is None:
            return
        if not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self._transport.abort()

    def read_off(self) -> None:
        """Say nothing more, and throw away what the other side says: its end comes behind all it had on its way."""
        self._discarding = True
        self._paused, paused = 0, self._paused
        if paused and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """End it with FIN after what was written, and read on until the other side ends too.

        A close with bytes unread would send RST instead, and take back what the other side has not yet read.
        """
        self.read_off()
        if self._transport is None or self._transport.is_closing():
            return
        if self._tls is not None:
            self._tls.say_goodbye()
        self._transport.write_eof()
        if self._ended:
            self._transport.close()
            return
        asyncio.get_running_loop().call_later(CLOSE_LIMIT_S, self._close_at_last)

    def _close_at_last(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        if self._discarding:
            if self._transport is not None:
                self._transport.close()
            return
        self.on_end(reason)


class Tls:
    """TLS over memory, so that a first byte already read can be part of it and the socket under it can be reset."""

    def __init__(self, line: Line, context: ssl.SSLContext, *, server_side: bool, hostname: str | None) -> None:
        self._line = line
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side, hostname)
        self._shaken = False

    def take(self, data: bytes) -> None:
        """Bytes from the socket. Raises BadBytesError."""
        self._incoming.write(data)
        try:
            if not self._shaken and not self._shake():
                return
            while plain := self._object.read(PLAIN_BYTES):
                self._line.on_bytes(plain)
            self._line.eof_received()
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError) as stopped:
            if isinstance(stopped, ssl.SSLZeroReturnError):
                self._line.eof_received()
        except ssl.SSLError as error:
            raise BadBytesError(f"TLS failed ({error.reason or error})") from None
        finally:
            self._flush()

    def give(self, data: bytes | bytearray) -> None:
        """Bytes for the socket. Written while the handshake goes on, they would be lost: nobody does."""
        self._object.write(data)
        self._flush()

    def say_goodbye(self) -> None:
        with suppress(ssl.SSLError):  # the other side has not answered; the alert is on its way all the same
            self._object.unwrap()
        self._flush()

    def _shake(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self._shaken = True
        self._flush()
        if self._line.on_secure is not None:
            self._line.on_secure()
        return True

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._line.write_raw(self._outgoing.read())
