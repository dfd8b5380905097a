"""Where chaos may strike: on this machine, on hosts that are named for it, and never where a live broker is."""

from collections.abc import Iterable

from gates.chaos.proxies.safety import LIVE_ENDING, LIVE_HOSTS, UnsafeError, is_loopback
from gates.targets.programs import Program
from gates.targets.ways import PLAIN, Ways

__all__ = ["UnsafeError", "demand_safe", "is_live_broker"]


def demand_safe(program: Program, ledger_host: str, allowed_hosts: Iterable[str], ways: Ways = PLAIN) -> None:
    """Refuse a ledger server that is not on this machine or not allowed, and any live broker. Raises UnsafeError."""
    if is_live_broker(ledger_host):
        raise UnsafeError(f"{ledger_host} is a live broker's host: chaos never strikes there.")
    if ledger_host != "localhost" and not is_loopback(ledger_host) and ledger_host not in set(allowed_hosts):
        raise UnsafeError(f"The ledger server {ledger_host} is not on this machine: name it in [chaos] allowed_hosts.")
    texts = (*program.command, *program.environment.values(), program.ready, *(file.text for file in ways.files))
    for host in filter(is_live_broker, ways.hosts):
        raise UnsafeError(f"[chaos] hosts names {host}, a live broker: what would call it never runs in a cell.")
    for text in (*texts, *(text for ask in program.operations.values() for text in ask.texts)):
        if is_live_broker(text):
            raise UnsafeError("The target's description names a live broker: give {broker_url} in its place.")


def is_live_broker(text: str) -> bool:
    """Whether a text names the host of a live broker, whatever the settings say."""
    lowered = text.lower()
    return any(host in lowered for host in (LIVE_ENDING, *LIVE_HOSTS))
