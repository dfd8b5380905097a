"""What the machine must give before anything is started: a folder, disk, ports."""

import errno
import json
import os
import shutil
import socket
import time
from pathlib import Path

import psutil

from wartest_site.embedded.children import CannotStartError, free_port

LEAST_FREE_BYTES = 500_000_000
# After a kill of everything the orphans need a moment to end and give their ports back.
PORT_FREE_LIMIT_S = 10.0
OWN_PORT_LIMIT_S = 3.0
PORT_NAMES = ("portal_postgres", "valkey", "target_postgres", "broker", "control", "desk", "live_desk")


def check_home(home: Path) -> None:
    """Raises CannotStartError when the state directory cannot be written or its disk is nearly full."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".probe.{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
        free = shutil.disk_usage(home).free
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise CannotStartError(f"The disk of {home} is full: free some space") from None
        raise CannotStartError(
            f"The folder {home} cannot be written ({error.strerror}): set WARTEST_HOME to one that can"
        ) from None
    if free < LEAST_FREE_BYTES:
        raise CannotStartError(
            f"The disk of {home} has {free // 1_000_000} MB free and "
            f"{LEAST_FREE_BYTES // 1_000_000} MB are needed: free some space"
        )


def check_port(port: int, *, limit_s: float = PORT_FREE_LIMIT_S) -> None:
    """Raises CannotStartError when the web port cannot be had within `limit_s`."""
    if not 1 <= port <= 65535:
        raise CannotStartError(f"Port {port} does not exist: give one between 1 and 65535 with --port")
    deadline = time.monotonic() + (limit_s if _held_by_leftover(port) else 0)
    while (reason := port_trouble(port)) is not None:
        if time.monotonic() >= deadline:
            raise CannotStartError(f"Port {port} cannot be used ({reason}): give another with --port")
        time.sleep(0.2)


def port_trouble(port: int) -> str | None:
    """Why a loopback port cannot be listened on, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return "it is taken" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
    return None


def _held_by_leftover(port: int) -> bool:
    """Whether the port is held by a process of ours that a kill left behind: those end by themselves."""
    for process in psutil.process_iter(["cmdline", "ppid"]):
        arguments = process.info["cmdline"] or []
        if f"127.0.0.1:{port}" in arguments and "wartest_site.wsgi" in arguments:
            return process.info["ppid"] == 1 or process.parent() is None
    return False


def keep_ports(home: Path) -> dict[str, int]:
    """The ports of the servers behind the portal: those of the last time where they are still free."""
    file = home / "ports.json"
    try:
        kept = dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        kept = {}
    ports: dict[str, int] = {}
    for name in PORT_NAMES:
        port = kept.get(name)
        if not isinstance(port, int) or not 1 <= port <= 65535 or port in ports.values() or not _freed(port):
            port = free_port()
        ports[name] = port
    file.write_text(json.dumps(ports, indent=1))
    return ports


def _freed(port: int) -> bool:
    deadline = time.monotonic() + OWN_PORT_LIMIT_S
    while port_trouble(port) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
