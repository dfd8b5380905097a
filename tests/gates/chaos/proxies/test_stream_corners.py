"""The corners of a broker's stream, through the proxy: what has no body, trailers, a line that is cut."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.gates.chaos.owners import Owner, owned_proxy

LIMIT_S = 20
CHUNKED = b"Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Said:
    """A server that answers whatever it is asked with `answer`, and hangs up."""

    def __init__(self) -> None:
        self.answer = b""
        self.listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            with client:
                client.settimeout(LIMIT_S)
                if read_to(client, b"\r\n\r\n"):
                    client.sendall(self.answer)


def read_to(connection: socket.socket, end: bytes = b"") -> bytes:
    """What comes until it ends so, or until the other side hangs up."""
    got = b""
    while not (end and got.endswith(end)) and (piece := connection.recv(65_536)):
        got += piece
    return got


@pytest.fixture(scope="module")
def said() -> Iterator[Said]:
    server = Said()
    yield server
    server.listening.close()


@pytest.fixture(scope="module")
def owner(said: Said) -> Iterator[Owner]:
    with owned_proxy("http", f"127.0.0.1:{said.listening.getsockname()[1]}") as owner:
        yield owner


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\n" + CHUNKED),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n" + CHUNKED),
        ("GET", b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"4\r\n{}\r\n\r\n0\r\nX-Check: 1\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\n" + CHUNKED + b'3\r\n{}\n\r\n8\r\n{"type":\r\n'),
    ],
    ids=["HEAD", "not modified", "trailers", "a line that is cut"],
)
def test_a_stream_comes_through_as_it_was_said(owner: Owner, said: Said, method: str, answer: bytes):
    said.answer = answer
    with socket.create_connection(("127.0.0.1", owner.port), LIMIT_S) as target:
        target.sendall(f"{method} /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert read_to(target) == answer
