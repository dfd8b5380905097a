"""The desk's own HTTP: whole answers or an error, connections kept and dropped, and a face that nothing brings down."""

import asyncio
import json
import socket
import subprocess
import sys

import pytest

from gates.rehearsal.desk.exchanges import Caller, ExchangeError

from .processes import ROOT, end, free_port, running_desk

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


async def _asked(*sent, times=1, limit_s=5.0):
    """Ask a server that sends these, one after the other, and hangs up after the last: answers and connections."""
    waiting, connections, requests = list(sent), [], []

    async def serve(reader, writer):
        connections.append(writer)
        while waiting:
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(waiting.pop(0))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        caller = Caller(f"http://127.0.0.1:{port}/v3", {"Authorization": "Bearer t"})
        try:
            replies = [await caller.ask("GET", f"/{number}", limit_s=limit_s) for number in range(times)]
        finally:
            caller.close()
        return replies, connections, requests


def test_round_trips_share_a_connection_and_carry_the_headers():
    replies, connections, requests = asyncio.run(_asked(ANSWER, CHUNKED, times=2))
    assert [(reply.status, reply.reason, reply.body) for reply in replies] == [
        (200, "OK", b"{}"),
        (503, "Service Unavailable", b"abc"),
    ]
    assert len(connections) == 1
    assert requests[1].startswith(b"GET /v3/1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Authorization: Bearer t\r\n" in requests[1]


def test_a_connection_that_the_server_closes_is_not_used_again():
    closing = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    _, connections, _ = asyncio.run(_asked(closing, ANSWER, times=2))
    assert len(connections) == 2


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "without an answer"),
        (ANSWER[:-1], "before the message did"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "before the message did"),
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP"),
    ],
)
def test_what_is_no_whole_answer_is_no_answer(sent, words):
    with pytest.raises(ExchangeError, match=words):
        asyncio.run(_asked(sent))


def test_an_answer_that_does_not_come_in_time_is_none():
    async def serve(reader, writer):
        await reader.read()
        writer.close()

    async def silent():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await Caller(f"http://127.0.0.1:{port}", {}).ask("GET", "/", limit_s=0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(silent())


def _said(port, *sent):
    """What the desk answers to raw bytes until it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        for part in sent:
            line.sendall(part)
        line.shutdown(socket.SHUT_WR)
        said = b""
        while chunk := line.recv(65536):
            said += chunk
        return said


def test_nothing_on_the_wire_brings_the_face_down(desk_database_url):
    with running_desk(desk_database_url, f"http://127.0.0.1:{free_port()}") as desk:
        assert _said(desk.port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9) == b""
        assert _said(desk.port, b"POST /operations/open HTTP/1.1\r\nContent-Length: 9999\r\n\r\n{}") == b""
        large = b"POST /operations/open HTTP/1.1\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000
        assert _said(desk.port, large).startswith(b"HTTP/1.1 413 ")
        assert _said(desk.port, b"GET /operations/open HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
        assert _said(desk.port, b"GET /nowhere HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
        two = _said(desk.port, b"GET /health HTTP/1.1\r\n\r\n", b"").partition(b"\r\n\r\n")[2]
        assert json.loads(two)["status"] == "failing"


def test_a_taken_port_is_said_in_one_sentence(desk_database_url):
    with running_desk(desk_database_url, f"http://127.0.0.1:{free_port()}") as desk:
        environment = {"DATABASE_URL": desk_database_url, "OANDA_URL": "http://127.0.0.1:1"}
        environment |= {"OANDA_TOKEN": "t", "OANDA_ACCOUNT_ID": "a"}
        command = (sys.executable, "-m", "gates.rehearsal.desk", "--port", str(desk.port))
        second = subprocess.run(
            command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20
        )
        assert second.returncode == 2
        assert f"port {desk.port} cannot be had" in second.stderr
        assert end(desk.process) < 3
        assert desk.process.returncode == 0
