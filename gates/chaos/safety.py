"""Where chaos may strike: on this machine, on hosts that are named for it, and never where a live broker is."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from gates.chaos.proxies.safety import LIVE_ENDING, LIVE_HOSTS, UnsafeError, is_loopback
from gates.targets.pids import is_here
from gates.targets.programs import Program
from gates.targets.ways import PLAIN, Ways

__all__ = ["UnsafeError", "demand_safe", "is_live_broker"]


def demand_safe(program: Program, ledger_host: str, allowed_hosts: Iterable[str], ways: Ways = PLAIN) -> None:
    """Refuse a ledger server that is not on this machine or not allowed, any live broker, and a program that would be
    asked for its operations elsewhere than in the cell. Raises UnsafeError.
    """
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
    _demand_asked_in_the_cell(program)


def _demand_asked_in_the_cell(program: Program) -> None:
    host = urlsplit(program.ready).hostname or ""
    if not is_here(host):
        raise UnsafeError(f"[process] ready is at {host}, but a cell's program runs here: write 127.0.0.1:{{port}}.")
    for name, ask in program.operations.items():
        if ask.post and _place(ask.post) != _place(program.ready):
            raise UnsafeError(
                f"[operations] {name} asks another address than [process] ready, so perhaps the running target: "
                "write the same host and port in both, best 127.0.0.1:{port}."
            )


def _place(url: str) -> str:
    """Host and port as they are written, before a cell fills them in."""
    host, colon, port = urlsplit(url).netloc.rpartition("@")[2].lower().partition(":")
    return f"{'127.0.0.1' if host == 'localhost' else host}{colon}{port}"


def is_live_broker(text: str) -> bool:
    """Whether a text names the host of a live broker, whatever the settings say."""
    lowered = text.lower()
    return any(host in lowered for host in (LIVE_ENDING, *LIVE_HOSTS))
