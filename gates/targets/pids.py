"""Which process of this machine a running target is, where its health answer does not tell."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

MOST_DIGITS = 10


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
    if port is None:
        return None
    try:
        open_now = psutil.net_connections("tcp")
    except psutil.Error:
        return None
    pids = {one.pid for one in open_now if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid}
    return _oldest(pids)


def port_here(url: str) -> int | None:
    """The port of an address of this machine; None for another's."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return port if is_here(parts.hostname or "") else None


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
