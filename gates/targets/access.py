"""How the portal reaches a target: addresses resolved, secrets taken from the environment at the moment of use."""

import json
import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

REHEARSAL_SPEC: dict[str, Any] = {
    "ledger": {"url": "rehearsal:ledger_url", "schema": "wartest"},
    "broker": {
        "kind": "oanda",
        "url": "rehearsal:broker_url",
        "account": "rehearsal:account",
        "token": "rehearsal:token",
    },
    "process": {"kind": "command", "health": "rehearsal:desk_url"},
    "live": {  # gate 4: another account of the simulator, a desk of its own
        "ledger": {"url": "rehearsal:live_ledger_url"},
        "broker": {"environment": "simulator posing as live", "account": "rehearsal:live_account"},
        "process": {
            "health": "rehearsal:live_desk_url",
            "stop": ["rehearsal:python", "-m", "gates.rehearsal.desk.parking", "rehearsal:live_desk_url"],
        },
    },
}


class TargetUnreachableError(ValueError):
    """The target's description cannot be followed; the message says what to correct."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where a target's ledger, broker and health are. Never stored, never logged: it holds secrets.

    `ledger_url` is a `postgresql://…` address, or that of a hosted ledger (`https://…`), which `ledger_key` opens.
    """

    ledger_url: str = field(repr=False)
    ledger_schema: str
    broker_url: str
    broker_account: str
    broker_token: str = field(repr=False)
    health_url: str
    ledger_key: str = field(default="", repr=False)

    @property
    def ledger_host(self) -> str:
        """The host of the ledger's server."""
        return urlsplit(self.ledger_url).hostname or "127.0.0.1"


def access(spec: dict[str, Any]) -> Access:
    """Resolve a target's spec. Raises TargetUnreachableError naming the first thing that is missing."""
    ledger_url, ledger_key = _ledger(spec)
    health = _resolved(spec, "process", "health")
    if not urlsplit(health).path.strip("/"):
        health = health.rstrip("/") + "/health"
    return Access(
        ledger_url=ledger_url,
        ledger_schema=_resolved(spec, "ledger", "schema"),
        broker_url=_resolved(spec, "broker", "url"),
        broker_account=_resolved(spec, "broker", "account"),
        broker_token=_resolved(spec, "broker", "token"),
        health_url=health,
        ledger_key=ledger_key,
    )


def _ledger(spec: dict[str, Any]) -> tuple[str, str]:
    """Return the ledger's address and, of a hosted one, its key."""
    ledger = spec.get("ledger", {})
    if "supabase" not in ledger:
        return _resolved(spec, "ledger", "url"), ""
    if "url" in ledger:
        raise TargetUnreachableError("The target's description has both [ledger] url and supabase: keep one of them.")
    address = _resolved(spec, "ledger", "supabase")
    if urlsplit(address).scheme not in ("https", "http"):
        raise TargetUnreachableError("[ledger] supabase must be the https:// address of the project: correct it.")
    return address, _resolved(spec, "ledger", "key")


def _resolved(spec: dict[str, Any], section: str, key: str) -> str:
    value = spec.get(section, {}).get(key)
    where = f"[{section}] {key}"
    if not isinstance(value, str) or not value:
        raise TargetUnreachableError(f"The target's description lacks {where}: add it.")
    return resolved(value, where)


def resolved(value: str, where: str) -> str:
    """Return a text of a description with what it names by `env:` or `rehearsal:` filled in.

    Raises TargetUnreachableError, naming `where` it stands.
    """
    source, _, name = value.partition(":")
    if source == "env":
        return _from(os.environ, name, where)
    if source == "rehearsal":
        return _from(_rehearsal(), name, where)
    return value


def _from(values: Any, name: str, where: str) -> str:
    value = values.get(name)
    if not value:
        raise TargetUnreachableError(f"{where} names {name}, which is not set: set it where the portal runs.")
    return str(value)


def _rehearsal() -> dict[str, str]:
    """Return the addresses that `up` gives its children; the token stays in a variable of its own."""
    try:
        values = json.loads(os.environ.get("WARTEST_REHEARSAL_JSON", "{}"))
    except json.JSONDecodeError:
        raise TargetUnreachableError("WARTEST_REHEARSAL_JSON is not JSON: start the portal with `up`.") from None
    if not values:
        raise TargetUnreachableError("The rehearsal target is not running: start it with `uv run manage.py up`.")
    values["token"] = os.environ.get(values.get("token_env", ""), "")
    return values
