"""HTTP/1.1 over asyncio, as much as the desk needs: one message read whole, and round trips to one server.

A trading system is down while it starts, and a client of general use takes longer to import than the desk itself.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httptools

LIMIT_BYTES = 32 * 1024 * 1024  # of one answer
CHUNK_BYTES = 64 * 1024
AT_ONCE = 8  # connections to one server
KEPT_S = 5.0  # an idle connection is used again; servers hang up later than that


class ExchangeError(Exception):
    """What came is not one whole message."""


class TooLargeError(ExchangeError):
    """The body is larger than it may be."""


@dataclass(frozen=True)
class Reply:
    """One whole answer."""

    status: int
    reason: str
    body: bytes


class Message:
    """One message as a parser finds it. `stays` says whether another may follow on the connection."""

    def __init__(self, kind: type[httptools.HttpRequestParser] | type[httptools.HttpResponseParser]) -> None:
        self.parser: Any = kind(self)
        self.url = ""
        self.reason = ""
        self.body = bytearray()
        self.stays = False
        self.whole = False

    async def read(self, reader: asyncio.StreamReader, *, limit_bytes: int) -> bool:
        """Read until it is whole; False where the other side hung up before its first byte.

        Raises OSError, ExchangeError, and TooLargeError. A body that ends with the connection is never whole: nobody
        could tell it from one that was cut.
        """
        began = False
        while not self.whole:
            chunk = await reader.read(CHUNK_BYTES)
            if not chunk and not began:
                return False
            if not chunk:
                raise ExchangeError("the connection ended before the message did")
            began = True
            try:
                self.parser.feed_data(chunk)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                raise ExchangeError("this is no HTTP") from error
            if len(self.body) > limit_bytes:
                raise TooLargeError(f"the body is larger than {limit_bytes} bytes")
        return True

    def on_url(self, part: bytes) -> None:
        """Called by the parser."""
        self.url += part.decode("latin-1")

    def on_status(self, part: bytes) -> None:
        """Called by the parser."""
        self.reason += part.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called by the parser, which forgets this at the end of the message."""
        self.stays = bool(self.parser.should_keep_alive())

    def on_body(self, part: bytes) -> None:
        """Called by the parser."""
        self.body += part

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.whole = True


class Caller:
    """Round trips to one server, over connections that are kept for the next one."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        place = urlsplit(url)
        self._secure = place.scheme == "https"
        self._host = place.hostname or "127.0.0.1"
        self._port = place.port or (443 if self._secure else 80)
        self._path = place.path.rstrip("/")
        lines = {"Host": place.netloc.rpartition("@")[2], **headers}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._kept: list[tuple[float, _Line]] = []
        self._room = asyncio.Semaphore(AT_ONCE)

    async def ask(self, method: str, path: str, body: bytes | None = None, *, limit_s: float | None) -> Reply:
        """Ask once. Raises OSError, TimeoutError after `limit_s`, and ExchangeError: what became of it is unknown."""
        length = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._headers}{length}\r\n"
        async with asyncio.timeout(limit_s), self._room:
            line = self._known() or await self._opened()
            try:
                reply, stays = await line.round_trip(head.encode() + (body or b""))
            except BaseException:
                line.hang_up()
                raise
            if stays:
                self._kept.append((monotonic(), line))
            else:
                line.hang_up()
            return reply

    def close(self) -> None:
        """Hang up."""
        while self._kept:
            self._kept.pop()[1].hang_up()

    def _known(self) -> "_Line | None":
        while self._kept:
            since, line = self._kept.pop()
            if monotonic() - since < KEPT_S and not line.gone:
                return line
            line.hang_up()
        return None

    async def _opened(self) -> "_Line":
        return _Line(*await asyncio.open_connection(self._host, self._port, ssl=self._secure or None))


class _Line:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def gone(self) -> bool:
        """Whether the server has hung up."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def round_trip(self, request: bytes) -> tuple[Reply, bool]:
        """Send, and read the answer; whether the connection can be used again."""
        self._writer.write(request)
        await self._writer.drain()
        message = Message(httptools.HttpResponseParser)
        if not await message.read(self._reader, limit_bytes=LIMIT_BYTES):
            raise ExchangeError("the server hung up without an answer")
        reply = Reply(message.parser.get_status_code(), message.reason, bytes(message.body))
        return reply, message.stays

    def hang_up(self) -> None:
        """Close it; what is still on its way is not waited for."""
        self._writer.close()
