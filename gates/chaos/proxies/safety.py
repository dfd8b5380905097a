"""Where a proxy may listen and what it may stand before. A lost answer on a live order costs money."""

import ipaddress
import socket
from collections.abc import Collection

# Hosts of live brokers: never, whatever any setting says. OANDA's are api-fxtrade and stream-fxtrade.
LIVE_ENDING = "fxtrade.oanda.com"
LIVE_HOSTS = ("api.oanda.com", "api.alpaca.markets", "api.ibkr.com", "api.binance.com")


class UnsafeError(ValueError):
    """The place is not one for chaos; the message says why and what to do."""


def is_live(host: str) -> bool:
    """Whether real money is behind that name (a name, or a Host header with its port)."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and "]" not in host else host
    name = name.strip().rstrip(".").lower()
    return name.endswith(LIVE_ENDING) or any(name == live or name.endswith(f".{live}") for live in LIVE_HOSTS)


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def refuse_listening(host: str) -> None:
    """Raises UnsafeError unless only this machine can connect."""
    if not is_loopback(host):
        raise UnsafeError(f"A proxy listens on loopback only, not on {host}; use 127.0.0.1")


def safe_address(host: str, port: int, allowed_hosts: Collection[str]) -> str:
    """The address to connect to: looked up once, so that the name cannot come to mean something else. Raises
    UnsafeError.
    """
    if is_live(host):
        raise UnsafeError(f"{host} is a live broker: chaos never stands before one")
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError as error:
        raise UnsafeError(f"The upstream {host} cannot be looked up ({error}); give an address") from None
    if host.lower() not in {allowed.lower() for allowed in allowed_hosts} and not all(map(is_loopback, found)):
        raise UnsafeError(f"{host} is neither loopback nor in chaos.allowed_hosts; add it there if it is a test system")
    return found[0]
