"""`python -m wartest_site.benchmarks.answering http|postgres`: the smallest server of each wire, for benchmarks.

It answers at once and always the same, so that what is measured is what stands before it. Prints its port.
"""

import asyncio
import struct
import sys
from typing import cast

import uvloop

HTTP_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'
READY = b"Z\0\0\0\5I"
WELCOME = b"R" + struct.pack(">II", 8, 0) + b"K" + struct.pack(">III", 12, 1, 1) + READY
COMPLETE = b"C" + struct.pack(">I", 13) + b"SELECT 0\0" + READY


class Answering(asyncio.Protocol):
    """One read is taken for one request: clients of benchmarks wait for each answer."""

    welcome: bytes = HTTP_ANSWER
    answer: bytes = HTTP_ANSWER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next = self.welcome

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._next)
        self._next = self.answer


class AnsweringPostgres(Answering):
    """Lets everybody in."""

    welcome = WELCOME
    answer = COMPLETE


async def main() -> None:
    kind = AnsweringPostgres if sys.argv[1:] == ["postgres"] else Answering
    server = await asyncio.get_running_loop().create_server(kind, "127.0.0.1", 0, backlog=2048)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
