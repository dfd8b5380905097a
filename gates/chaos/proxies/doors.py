"""The listening socket: who gets in, and when nobody does."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from gates.chaos.proxies.lines import RESET_AT_CLOSE

log = logging.getLogger("proxy")

BACKLOG = 1_024
AT_ONCE = 64
PAUSE_S = 0.1


class Door:
    """Accepts connections on a loopback address. `admit` gets each socket."""

    def __init__(self, host: str, port: int, admit: Callable[[socket.socket], None]) -> None:
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._admit = admit
        self._loop = asyncio.get_running_loop()
        self._placeholder: socket.socket | None = None
        self._is_shut = False
        self._came = asyncio.Event()
        self._frozen = 0
        self._listener = self._bound((host, port))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._listen()

    def freeze(self) -> None:
        """Leave new connections in the kernel's queue."""
        self._frozen += 1
        if self._frozen == 1:
            self._loop.remove_reader(self._listener)

    def thaw(self) -> None:
        self._frozen -= 1
        if not self._frozen and self._placeholder is None:
            self._loop.add_reader(self._listener, self._accept)

    def discard_waiting(self) -> int:
        """Drop what waits in the kernel's queue; how many."""
        dropped = 0
        with suppress(OSError):
            while dropped < BACKLOG:
                self._listener.accept()[0].close()
                dropped += 1
        return dropped

    def shut(self) -> None:
        """Nobody gets in any more. Who comes first is reset, since whom the kernel refuses is not seen; from then on it
        refuses everybody.
        """
        self._is_shut = True
        self._came.clear()

    async def somebody_came(self, limit_s: float) -> bool:
        """Wait until somebody was turned away; False where nobody came in time."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._came.wait(), limit_s)
        return self._came.is_set()

    def reopen(self) -> None:
        """Let in who comes."""
        self._is_shut = False
        if self._placeholder is None:
            return
        self._listener = self._bound(self.address)
        self._listen()
        self._placeholder.close()
        self._placeholder = None

    def close(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()
        if self._placeholder is not None:
            self._placeholder.close()

    def _turn_away(self, first: socket.socket) -> None:
        """Let the kernel refuse: the port is bound and stays ours, and nobody listens. Only then reset the first,
        who may come again at once.
        """
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._placeholder = self._bound(self.address)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        first.close()
        self._came.set()

    def _bound(self, address: tuple[str, int]) -> socket.socket:
        made = socket.socket(self._family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setblocking(False)
            made.bind(address)
        except OSError:
            made.close()
            raise
        return made

    def _listen(self) -> None:
        self._listener.listen(BACKLOG)
        if not self._frozen:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptors left: the queue waits
                log.warning("No new connection can be taken for a moment: %s", error.strerror)
                self.freeze()
                self._loop.call_later(PAUSE_S, self.thaw)
                return
            if self._is_shut:
                self._turn_away(accepted)
                return
            accepted.setblocking(False)
            self._admit(accepted)
