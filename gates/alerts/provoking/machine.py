"""What is done to the desk's process: kept busy, killed."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from gates.alerts.provoking.market import Did
from gates.alerts.provoking.place import Place

REQUEST = b"GET /nothing HTTP/1.1\r\nHost: desk\r\n\r\n"
BURST = 300
ANSWER_LIMIT_S = 30


@contextmanager
def nothing_yet(place: Place) -> Iterator[Did]:
    """What is done is done again and again; there is nothing to begin with."""
    yield {}


def asked_for_nothing(place: Place) -> None:
    """Ask the desk for nothing, a few hundred times, as fast as it answers."""
    with socket.create_connection(("127.0.0.1", place.desk.port), timeout=ANSWER_LIMIT_S) as line:
        for _ in range(BURST):
            line.sendall(REQUEST)
            if not line.recv(65536):
                return


@contextmanager
def killed(place: Place) -> Iterator[Did]:
    """SIGKILL; another desk is started on the same books when the block ends."""
    pid = place.pid
    os.kill(pid, signal.SIGKILL)
    if place.desk.process is not None:
        place.desk.process.wait(10)
    try:
        yield {"pid": pid}
    finally:
        place.desk.begin()
