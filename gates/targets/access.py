"""How the portal reaches a target: addresses resolved, secrets taken from the environment at the moment of use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gates.targets.secrets import TargetUnreachableError, resolved

__all__ = ["REHEARSAL_SPEC", "Access", "TargetUnreachableError", "access", "cells_ledger", "resolved"]

REHEARSAL_SPEC: dict[str, Any] = {
    "ledger": {"url": "rehearsal:ledger_url", "schema": "wartest"},
    "broker": {
        "kind": "oanda",
        "url": "rehearsal:broker_url",
        "account": "rehearsal:account",
        "token": "rehearsal:token",
    },
    "process": {"kind": "command", "health": "rehearsal:desk_url", "log": "rehearsal:desk_log"},
    "live": {  # gate 4: another account of the simulator, a desk of its own
        "ledger": {"url": "rehearsal:live_ledger_url"},
        "broker": {"environment": "simulator posing as live", "account": "rehearsal:live_account"},
        "process": {
            "health": "rehearsal:live_desk_url",
            "log": "rehearsal:live_desk_log",
            "stop": ["rehearsal:python", "-m", "gates.rehearsal.desk.parking", "rehearsal:live_desk_url"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Access:
    """Where a target's ledger, broker and health are. Never stored, never logged: it holds secrets.

    `ledger_url` is a `postgresql://…` address, or that of a hosted ledger (`https://…`), which `ledger_key` opens.
    `health_url` is empty where no process is described. `build` and `process` are those sections of the description.
    """

    ledger_url: str = field(repr=False)
    ledger_schema: str
    broker_url: str
    broker_account: str
    broker_token: str = field(repr=False)
    health_url: str
    ledger_key: str = field(default="", repr=False)
    build: Mapping[str, Any] = field(default_factory=dict)
    process: Mapping[str, Any] = field(default_factory=dict)


def access(spec: Mapping[str, Any]) -> Access:
    """Resolve a target's spec. Raises TargetUnreachableError naming the first thing that is missing."""
    ledger_url, ledger_key = _ledger(spec)
    ledger = {"schema": "wartest"} | dict(spec.get("ledger") or {})
    return Access(
        ledger_url=ledger_url,
        ledger_schema=_resolved({"ledger": ledger}, "ledger", "schema"),
        broker_url=_resolved(spec, "broker", "url"),
        broker_account=_resolved(spec, "broker", "account"),
        broker_token=_resolved(spec, "broker", "token"),
        health_url=_health(spec.get("process") or {}),
        ledger_key=ledger_key,
        build=spec.get("build") or {},
        process=spec.get("process") or {},
    )


def _health(process: Mapping[str, Any]) -> str:
    """Return where the running target says how it is: `health`, or `ready` at its `port`; "" where neither is said."""
    if process.get("health"):
        address = _resolved({"process": process}, "process", "health")
    elif process.get("port") and process.get("ready"):
        address = _resolved({"process": process}, "process", "ready").replace("{port}", str(process["port"]))
    else:
        return ""
    return address if urlsplit(address).path.strip("/") else address.rstrip("/") + "/health"


def cells_ledger(spec: Mapping[str, Any]) -> str:
    """Return the PostgreSQL on which gate 2 makes its copies: `[chaos] ledger`, or else the target's own server.

    Raises TargetUnreachableError where neither is one.
    """
    chaos = spec.get("chaos") or {}
    address = _resolved({"chaos": chaos}, "chaos", "ledger") if chaos.get("ledger") else _ledger(spec)[0]
    if urlsplit(address).scheme not in ("postgresql", "postgres"):
        raise TargetUnreachableError(
            "Gate 2 copies the ledger's database and cannot do so over HTTP: name a PostgreSQL in [chaos] ledger, "
            "and in [chaos.postgrest] how to start the PostgREST by which the program reaches its books."
        )
    return address


def _ledger(spec: Mapping[str, Any]) -> tuple[str, str]:
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


def _resolved(spec: Mapping[str, Any], section: str, key: str) -> str:
    value = spec.get(section, {}).get(key)
    where = f"[{section}] {key}"
    if not isinstance(value, str) or not value:
        raise TargetUnreachableError(f"The target's description lacks {where}: add it.")
    return resolved(value, where)
