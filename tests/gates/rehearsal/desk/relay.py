"""A loopback relay that can stand still or drop its connections, between the desk and what it talks to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK_BYTES = 65_536


class Relay:
    """Passes bytes both ways while `flowing` is set; every connection can be cut at once."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._refusing = False
        self.flowing = threading.Event()
        self.flowing.set()
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, *, refuse: bool) -> None:
        """Drops all connections; new ones too while `refuse`."""
        self._refusing = refuse
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def admit(self) -> None:
        """Lets new connections through again."""
        self._refusing = False

    def close(self) -> None:
        """Ends everything."""
        self.flowing.set()
        self.cut(refuse=True)
        self._listener.close()
        for end in self._sockets:
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._refusing:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
                far.settimeout(None)
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK_BYTES):
                self.flowing.wait()
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def running_relay(target_port: int) -> Iterator[Relay]:
    relay = Relay(target_port)
    try:
        yield relay
    finally:
        relay.close()
