"""Connections to the broker, kept for the next request: a broker allows few new ones a second."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from gates.chaos.proxies.lines import Line

DIAL_LIMIT_S = 10.0
MAXIMUM_IDLE = 64
# Shorter than what servers wait (uvicorn 5 s): a request must not meet a connection that is just being closed.
IDLE_LIMIT_S = 4.0


@dataclass(frozen=True)
class Origin:
    """Where the server is. `host` replaces the Host header where it is given; `name` is what its certificate says."""

    address: str
    port: int
    name: str
    tls: ssl.SSLContext | None = None
    host: bytes | None = None


class Server:
    """One connection to the server, used by one session at a time."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self.line = Line(self._heard, self._ended)
        self.on_bytes: Callable[[bytes], None] | None = None
        self.on_end: Callable[[str], None] | None = None
        self.idle_since = 0.0

    def use(self, on_bytes: Callable[[bytes], None], on_end: Callable[[str], None]) -> None:
        self.on_bytes, self.on_end = on_bytes, on_end

    def _heard(self, data: bytes) -> None:
        if self.on_bytes is not None:
            self.on_bytes(data)
        else:
            self._pool.drop(self)  # a server that speaks unasked

    def _ended(self, reason: str) -> None:
        on_end, self.on_end = self.on_end, None
        self._pool.drop(self)
        if on_end is not None:
            on_end(reason)


class Pool:
    """Idle connections, newest last."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._idle: list[Server] = []

    def __len__(self) -> int:
        return len(self._idle)

    def idle(self) -> Server | None:
        """A connection that waits, taken out."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            server = self._idle.pop()
            if now - server.idle_since < IDLE_LIMIT_S and not server.line.gone.done():
                return server
            server.line.close()
        return None

    async def dial(self) -> Server:
        """A new connection. Raises OSError, also where it takes too long."""
        server, origin, loop = Server(self), self.origin, asyncio.get_running_loop()
        secured: asyncio.Future[None] = loop.create_future()

        def secure() -> None:
            if not secured.done():
                secured.set_result(None)

        def failed(reason: str) -> None:
            if not secured.done():
                secured.set_exception(ConnectionError(reason or "it hung up"))

        server.on_end = failed
        try:
            async with asyncio.timeout(DIAL_LIMIT_S):
                await loop.create_connection(lambda: server.line, origin.address, origin.port)
                if origin.tls is not None:
                    server.line.on_secure = secure
                    server.line.start_tls(origin.tls, server_side=False, hostname=origin.name)
                    await secured
        except BaseException:
            server.line.reset()
            raise
        finally:
            if secured.done() and not secured.cancelled():
                secured.exception()  # seen
        return server

    def release(self, server: Server) -> None:
        """The connection is free again."""
        server.on_bytes = server.on_end = None
        server.line.feed_from(None)
        if len(self._idle) >= MAXIMUM_IDLE:
            server.line.close()
            return
        server.idle_since = asyncio.get_running_loop().time()
        self._idle.append(server)

    def drop(self, server: Server) -> None:
        """The connection is of no use any more."""
        server.on_bytes = server.on_end = None
        if server in self._idle:
            self._idle.remove(server)
        server.line.close()

    async def close(self) -> None:
        """Close what is idle."""
        idle, self._idle = self._idle, []
        for server in idle:
            server.line.close()
        await asyncio.gather(*(server.line.gone for server in idle))
