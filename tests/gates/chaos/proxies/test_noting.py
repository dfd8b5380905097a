"""An answer stands in the recording before the target can act on it: two proxies are two processes, and what the target
sends on the other wire because of an answer must come behind it."""

import asyncio
import socket
from collections.abc import Callable

import psycopg

from gates.chaos.messages import Channel
from gates.chaos.proxies.http_pool import Origin, Pool
from gates.chaos.proxies.http_session import WebSession
from gates.chaos.proxies.lines import Line
from gates.chaos.proxies.pg_opening import Opening
from gates.chaos.proxies.pg_session import LedgerSession
from gates.chaos.proxies.pg_startup import Ears, Upstream
from gates.chaos.proxies.serving import NewSession
from gates.chaos.proxies.switchboard import Switchboard

PIECES = (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", b"llo")


def counting_writes(monkeypatch, board: Switchboard) -> Callable[[Line], list[int]]:
    """How many messages the recording held at each write to a line."""
    wrote: list[tuple[Line, int]] = []
    write = Line.write

    def noting(line: Line, data: bytes | bytearray) -> None:
        wrote.append((line, board.recorded))
        write(line, data)

    monkeypatch.setattr(Line, "write", noting)
    return lambda line: [recorded for written, recorded in wrote if written is line]


async def client_of(new_session: NewSession, board: Switchboard) -> tuple[socket.socket, Line]:
    """A socket that the session serves, as a proxy's door would let it in, and the session's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        ours = socket.create_connection(door.getsockname())
        theirs, _ = door.accept()
    session = new_session(board)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: session.client, theirs)
    return ours, session.client


def test_a_brokers_answer_is_noted_before_its_last_piece_is_passed_on(monkeypatch):
    async def ask() -> list[int]:
        async def in_pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for piece in PIECES:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.05)  # a piece of its own, at best
            writer.close()

        board = Switchboard(Channel.BROKER, lambda event: None)
        written = counting_writes(monkeypatch, board)
        async with await asyncio.start_server(in_pieces, "127.0.0.1", 0) as server:
            pool = Pool(Origin("127.0.0.1", server.sockets[0].getsockname()[1], "localhost"))
            ours, line = await client_of(lambda known: WebSession(known, pool, None), board)
            reader, writer = await asyncio.open_connection(sock=ours)
            writer.write(b"GET /pricing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"hello")
            writer.close()
            await board.reset()
        return written(line)

    assert asyncio.run(ask())[-1] == 2  # the request and its answer


def test_a_ledgers_answer_is_noted_before_it_is_passed_on(monkeypatch, postgres_server):
    async def ask() -> list[int]:
        board = Switchboard(Channel.LEDGER, lambda event: None)
        written = counting_writes(monkeypatch, board)

        def new_session(known: Switchboard) -> LedgerSession:
            session = LedgerSession(known)
            Opening(session, Ears(None), Upstream("127.0.0.1", postgres_server.port))
            return session

        seen = []
        with socket.create_server(("127.0.0.1", 0)) as door:
            door.setblocking(False)
            url = postgres_server.url().replace(f":{postgres_server.port}/", f":{door.getsockname()[1]}/")
            coming = asyncio.create_task(psycopg.AsyncConnection.connect(f"{url}?sslmode=disable", autocommit=True))
            theirs, _ = await asyncio.get_running_loop().sock_accept(door)
            session = new_session(board)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: session.client, theirs)
            connection = await coming
            seen.append(written(session.client)[-1])
            await connection.execute("SELECT 1")
            seen.append(written(session.client)[-1])
            await connection.close()
            await board.reset()
        return seen

    assert asyncio.run(ask()) == [2, 4]  # each time the request and its answer
