"""Which process of this machine a running target is, where its health answer does not tell."""

import ipaddress
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

MOST_DIGITS = 10
INIT = 1  # every process is its descendant, and every container has one: nothing is told by it


def pid_of(process: Mapping[str, Any], health_url: str) -> int | None:
    """Return the number in the description's `pid_file`, else that of whoever listens at the health address.

    None where the file holds none, the address is another machine's, or the listener is not ours to see.
    """
    if process.get("pid_file"):
        return _written(Path(str(process["pid_file"])))
    return listener_of(health_url)


def _written(path: Path) -> int | None:
    try:
        with path.open() as file:
            text = file.read(MOST_DIGITS + 2).strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def listener_of(url: str) -> int | None:
    """Return who listens at an address of this machine."""
    port = port_here(url)
    return None if port is None else _listener_at(port)


def is_told_here(pid: object, url: str) -> bool:
    """Whether the number that a target tells of itself at `url` is its process's on this machine: another machine, or
    a container, has processes of the same numbers.

    It is the one that listens there, or of its family; or, where another user's listener is not ours to see, another
    user's process.
    """
    try:
        return isinstance(pid, int) and pid != INIT and _is_told_here(pid, psutil.Process(pid).create_time(), url)
    except (psutil.Error, _NotHereError):
        return False


class _NotHereError(Exception):
    """Raised, so that it is not remembered: what is not seen now may be a moment later."""


@lru_cache(maxsize=4096)  # asked with each look at each target, and it stays so as long as the process lives
def _is_told_here(pid: int, created_at: float, url: str) -> bool:
    host, port = _place(url)
    if port and (is_here(host) or _is_own(host)):
        hidden = False
        try:
            if any(_listens(one, port) for one in psutil.Process(pid).net_connections("tcp")):
                return True
        except psutil.AccessDenied:
            hidden = True
        listener = _listener_at(port)
        if _are_family(pid, listener) if listener else hidden and bool(psutil.Process(pid).cmdline()):
            return True
    raise _NotHereError


def _are_family(pid: int, other: int) -> bool:
    """Whether one of them started the other, in however many steps."""
    parents = {one.pid for one in psutil.Process(pid).parents()}, {one.pid for one in psutil.Process(other).parents()}
    return pid == other or other in parents[0] or pid in parents[1]


def _place(url: str) -> tuple[str, int]:
    """Return host and port of an address; port 0 where it is none."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", 0


def _is_own(host: str) -> bool:
    """Whether a host has an address of one of this machine's interfaces."""
    own = {address.address.partition("%")[0] for addresses in psutil.net_if_addrs().values() for address in addresses}
    with suppress(OSError, UnicodeError):
        return any(found[4][0] in own for found in socket.getaddrinfo(host, None))
    return False


def _listens(one: Any, port: int) -> bool:
    return bool(one.status == psutil.CONN_LISTEN and one.laddr.port == port)


def _listener_at(port: int) -> int | None:
    """Return which process that we may see listens at a port of this machine."""
    try:
        open_now = psutil.net_connections("tcp")
    except psutil.Error:
        return None
    pids = {one.pid for one in open_now if one.pid and _listens(one, port)}
    return _oldest(pids)


def port_here(url: str) -> int | None:
    """The port of an address of this machine; None for another's."""
    host, port = _place(url)
    return port if port and is_here(host) else None


def is_here(host: str) -> bool:
    """Whether a host is this machine, by its loopback name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _oldest(pids: set[int]) -> int | None:
    """Of a server whose workers share a socket the first one is meant, which started the others."""
    found = []
    for pid in pids:
        try:
            found.append((psutil.Process(pid).create_time(), pid))
        except psutil.Error:
            continue
    return min(found)[1] if found else None
