"""Ports of a cell's programs, below those that the kernel hands out for outgoing connections."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST_PORT, LAST_PORT = 20_000, 32_000


@contextmanager
def reserved_port(number: int) -> Iterator[int]:
    """A port on 127.0.0.1 that nobody listens on, held until the block ends. Raises OSError when there is none."""
    span = LAST_PORT - FIRST_PORT
    first = time.monotonic_ns() // 1000 + number * 97
    for step in range(span):
        port = FIRST_PORT + (first + step) % span
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield port
            return
    raise OSError("No port is free for the target's process.")


def is_held(port: int) -> bool:
    """Whether somebody listens at a port of 127.0.0.1. Connections that are over do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
