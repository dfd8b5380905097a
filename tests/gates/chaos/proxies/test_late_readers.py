"""A client that reads late slows its own server down, and nobody who comes behind it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gates.chaos.proxies.lines import HIGH_WATER_BYTES
from tests.gates.chaos.owners import Owner, owned_proxy

LIMIT_S = 30.0
PIECE_BYTES = 32 * 1024
LEFT_BYTES = 1_000  # what still fits before the proxy stops to read
END = b"0\r\n\r\n"
ASK = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall"
MUCH_BYTES = 16 * 1024 * 1024
OVER = b"over"


def piece(size: int) -> bytes:
    """A chunk that takes so many bytes of the wire, from 10 on."""
    return b"%06x\r\n%b\r\n" % (size - 10, b"x" * (size - 10))


def buffered(owner: Owner) -> int:
    return owner.do(owner.proxy.control.status()).buffered_bytes


def read_until(line: socket.socket, end: bytes) -> None:
    last = b""
    while not (last := (last + line.recv(PIECE_BYTES))[-PIECE_BYTES:]).endswith(end):
        assert last, "it hung up"


@contextmanager
def proxied() -> Iterator[tuple[Owner, socket.socket, socket.socket]]:
    """A client that takes little at once, and the listening server behind its proxy."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        listener.settimeout(LIMIT_S)
        client.settimeout(LIMIT_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE_BYTES)
        with owned_proxy("http", f"127.0.0.1:{listener.getsockname()[1]}") as owner:
            client.connect(("127.0.0.1", owner.port))
            yield owner, client, listener


def accepted(listener: socket.socket) -> socket.socket:
    server, _address = listener.accept()
    server.settimeout(LIMIT_S)
    return server


@contextmanager
def full_client() -> Iterator[tuple[Owner, socket.socket, socket.socket]]:
    """A client that has read nothing, and the server's side: its whole answer is at the proxy, filled by the last."""
    with proxied() as (owner, client, listener):
        client.sendall(ASK % b"large")
        with accepted(listener) as server:
            read_until(server, b"\r\n\r\n")
            server.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while (left := HIGH_WATER_BYTES - LEFT_BYTES - buffered(owner)) > LEFT_BYTES:
                server.sendall(piece(min(left, PIECE_BYTES)))
            server.sendall(piece(4 * LEFT_BYTES) + END)
            while buffered(owner) <= HIGH_WATER_BYTES:
                assert buffered(owner), "the client has not read"
            yield owner, client, server


def test_a_connection_behind_a_large_answer_read_late_answers_the_next_request():
    with full_client() as (owner, client, server):
        read_until(client, END)
        client.sendall(ASK % b"small")
        read_until(server, b"\r\n\r\n")
        server.sendall(SMALL)
        read_until(client, SMALL)
        assert owner.do(owner.proxy.control.status()).servers == 1


def test_the_next_answer_to_a_client_that_still_does_not_read_waits_in_the_server():
    with full_client() as (owner, client, server):
        client.sendall(ASK % b"large")
        read_until(server, b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MUCH_BYTES + len(OVER))
        sending = threading.Thread(target=server.sendall, args=(head + bytes(MUCH_BYTES) + OVER,))
        sending.start()
        assert max(buffered(owner) for _ in range(500)) < 2 * HIGH_WATER_BYTES
        read_until(client, OVER)
        sending.join()


def test_a_request_answered_before_it_was_taken_holds_up_no_next_one():
    with proxied() as (owner, client, listener):
        head = b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MUCH_BYTES
        client.sendall(head + bytes(MUCH_BYTES))
        with accepted(listener) as server:
            while buffered(owner) <= HIGH_WATER_BYTES or not owner.recording():
                pass
            server.sendall(SMALL)
            read_until(client, SMALL)
            client.sendall(ASK % b"small")
            read_until(server, b"\r\n\r\n")
            server.sendall(SMALL)
            read_until(client, SMALL)
