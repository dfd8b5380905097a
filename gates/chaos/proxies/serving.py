"""What every proxy process does alike: its command line, its limits, its life."""

import argparse
import asyncio
import gc
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop

from gates.chaos.messages import Channel
from gates.chaos.proxies.commanding import Commanding
from gates.chaos.proxies.doors import Door
from gates.chaos.proxies.safety import UnsafeError, refuse_listening, safe_address
from gates.chaos.proxies.sessions import Session
from gates.chaos.proxies.switchboard import Switchboard

log = logging.getLogger("proxy")

MAXIMUM_CONNECTIONS = 4_000
MAXIMUM_BUFFERED_BYTES = 512 * 1024 * 1024
OWNER_LIMIT_S = 30.0
STOP_LIMIT_S = 2.0
COULD_NOT_START = 2

NewSession = Callable[[Switchboard], Session]


@dataclass(frozen=True)
class Place:
    """A host and a port, from `host:port`."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Raises argparse.ArgumentTypeError."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise argparse.ArgumentTypeError(f"{text!r} is no host:port")
        return cls(host.strip("[]"), int(port))


def arguments(wire: str, about: str | None) -> argparse.ArgumentParser:
    """The options of every proxy."""
    parser = argparse.ArgumentParser(prog=f"python -m gates.chaos.proxies.{wire}", description=about)
    parser.add_argument("--listen", type=Place.parse, default=Place("127.0.0.1", 0), help="host:port, loopback only")
    parser.add_argument("--upstream", type=Place.parse, required=True, help="host:port of the real server")
    parser.add_argument("--control", type=Path, required=True, help="path of the control socket to make")
    parser.add_argument("--allowed-host", action="append", default=[], help="a host beyond loopback; may be repeated")
    parser.add_argument("--certificate", type=Path, help="PEM of a key and its certificate, for clients that speak TLS")
    parser.add_argument("--upstream-tls", action="store_true", help="speak TLS to the real server")
    return parser


def shown_to_clients(chain: Path, key: Path | None, protocols: list[str]) -> ssl.SSLContext:
    """A server's TLS context with this certificate, and what vouches for it, offering `protocols` by ALPN.

    Raises OSError. The certificate was made before: what makes them takes longer to load than a proxy.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.set_alpn_protocols(protocols)
    return context


def serve(options: argparse.Namespace, channel: Channel, new_session: Callable[[str], NewSession]) -> int:
    """Run a proxy until its owner goes or SIGTERM. `new_session` is given the upstream's address."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=f"{channel} proxy: %(message)s")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    try:
        refuse_listening(options.listen.host)
        address = safe_address(options.upstream.host, options.upstream.port, options.allowed_host)
        return uvloop.run(_run(options, channel, new_session(address)))
    except (UnsafeError, OSError) as error:
        sys.stderr.write(f"The {channel} proxy cannot start: {error}\n")
        return COULD_NOT_START


async def _run(options: argparse.Namespace, channel: Channel, new_session: NewSession) -> int:
    commanding = Commanding(lambda: house.buffered_bytes)
    board = commanding.board = Switchboard(channel, commanding.tell)
    house = House(board, new_session)
    control = await commanding.listen(options.control)
    board.door = Door(options.listen.host, options.listen.port, house.admit)
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, commanding.over.set)
    host, port = board.door.address
    sys.stdout.write(f"ready {host}:{port}\n")
    sys.stdout.flush()
    gc.freeze()  # what has been made so far stays: collections need not look at it again
    waiting = asyncio.get_running_loop().call_later(OWNER_LIMIT_S, house.end_unowned, commanding)
    await commanding.over.wait()
    waiting.cancel()
    board.door.close()
    control.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_LIMIT_S):
            await board.reset()
    options.control.unlink(missing_ok=True)
    return 0


class House:
    """Lets clients in, up to the limits."""

    def __init__(self, board: Switchboard, new_session: NewSession) -> None:
        self._board = board
        self._new_session = new_session

    @property
    def buffered_bytes(self) -> int:
        return sum(session.buffered_bytes for session in self._board.sessions.values())

    def admit(self, accepted: socket.socket) -> None:
        """A session for a new client, or the door where the house is full."""
        sessions = self._board.sessions
        if len(sessions) >= MAXIMUM_CONNECTIONS or (len(sessions) % 64 == 63 and self._is_heavy()):
            log.warning("A connection is turned away: %d are open, %d bytes kept", len(sessions), self.buffered_bytes)
            accepted.close()
            return
        self._board.spawn(self._attach(accepted))

    def end_unowned(self, commanding: Commanding) -> None:
        if not commanding.owned.is_set():
            log.warning("Nobody took the control socket within %.0f s; the proxy ends", OWNER_LIMIT_S)
            commanding.over.set()

    def _is_heavy(self) -> bool:
        return self.buffered_bytes > MAXIMUM_BUFFERED_BYTES

    async def _attach(self, accepted: socket.socket) -> None:
        session = self._new_session(self._board)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: session.client, accepted)
        except OSError:
            session.client_ended("")
