"""The beginning of a PostgreSQL connection, before its messages have a type (documentation, "Protocol Flow")."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from gates.chaos.proxies.lines import BadBytesError, Line
from gates.chaos.proxies.pg_frames import LENGTH

PROTOCOL_3 = 3
SSL_REQUEST = 80_877_103
GSS_REQUEST = 80_877_104
CANCEL_REQUEST = 80_877_102
TLS_HELLO = 0x16
MAXIMUM_BYTES = 10_000
DIAL_LIMIT_S = 10.0

SASL = 10
PLUS = b"SCRAM-SHA-256-PLUS\0"


@dataclass(frozen=True)
class Upstream:
    """Where the server is; `tls` is the context of TLS to it, None for plain."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Ears:
    """How the proxy meets clients. `own_key` says that `tls` shows the server's own certificate, so that a client's
    channel binding holds through the proxy.
    """

    tls: ssl.SSLContext | None
    own_key: bool = False


def first_packet(data: bytes) -> tuple[int, bytes] | None:
    """Its code and all its bytes; None while it is not complete. Raises BadBytesError."""
    if len(data) < 8:
        return None
    length, code = LENGTH.unpack_from(data)[0], LENGTH.unpack_from(data, 4)[0]
    if not 8 <= length <= MAXIMUM_BYTES:
        raise BadBytesError(f"a PostgreSQL connection cannot begin with a packet of {length} bytes")
    if code not in {SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST} and code >> 16 != PROTOCOL_3:
        raise BadBytesError(f"a PostgreSQL connection cannot begin with code {code}")
    if code in {SSL_REQUEST, GSS_REQUEST} and (length != 8 or len(data) > 8):
        raise BadBytesError("something follows a request for encryption that has not been answered")
    return (code, data) if len(data) >= length else None


def without_plus(frame: bytes) -> bytes:
    """An AuthenticationSASL that does not offer channel binding; any other frame as it is."""
    if frame[:1] != b"R" or LENGTH.unpack_from(frame, 5)[0] != SASL or PLUS not in frame:
        return frame
    body = frame[5:].replace(PLUS, b"", 1)
    return b"R" + LENGTH.pack(len(body) + 4) + body


async def dial(upstream: Upstream, on_bytes: Callable[[bytes], None], on_end: Callable[[str], None]) -> Line:
    """A connection to the server, under TLS where asked. Raises OSError (also where TLS is refused or too slow)."""
    loop = asyncio.get_running_loop()
    line = Line(on_bytes, on_end)
    try:
        async with asyncio.timeout(DIAL_LIMIT_S):
            await loop.create_connection(lambda: line, upstream.host, upstream.port, family=socket.AF_UNSPEC)
            if upstream.tls is not None:
                await _secure(line, upstream)
    except BaseException:
        line.reset()
        raise
    line.on_bytes, line.on_end = on_bytes, on_end
    return line


async def _secure(line: Line, upstream: Upstream) -> None:
    assert upstream.tls is not None  # noqa: S101  the caller looked
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    secured: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def failed(reason: str) -> None:
        for waiting in (answered, secured):
            if not waiting.done():
                waiting.set_exception(ConnectionError(f"The server ended the beginning of TLS ({reason or 'hung up'})"))
                waiting.exception()

    line.on_bytes = lambda data: None if answered.done() else answered.set_result(data)
    line.on_end = failed
    line.write(LENGTH.pack(8) + LENGTH.pack(SSL_REQUEST))
    if await answered != b"S":
        raise ConnectionError("The server does not speak TLS")
    line.on_secure = lambda: None if secured.done() else secured.set_result(None)
    line.start_tls(upstream.tls, server_side=False, hostname=upstream.host)
    await secured
