"""What the tested environment is like, and how it differs from production's: what was proven in one holds in the other
only as far as both are alike.
"""

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg

from gates.targets.access import Access
from gates.targets.showing import bare

MOST_BYTES = 64 * 1024
SETTINGS = ("server_version", "max_connections", "shared_buffers", "work_mem", "synchronous_commit", "TimeZone")
LEFT_OUT = ("compared",)


def identity(access: Access) -> dict[str, Any]:
    """Return the facts by name: versions, sizes, settings and network, without addresses that hold secrets."""
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "processors": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "ledger_kind": "hosted" if access.ledger_key else "postgresql",
        "broker": bare(access.broker_url),
        "network": ", ".join(sorted(name for name, state in psutil.net_if_stats().items() if state.isup)),
    }
    return facts | ({} if access.ledger_key else _server(access.ledger_url))


def _server(ledger_url: str) -> dict[str, Any]:
    """The ledger's server, and how large the database is."""
    return {f"ledger_{name}": value for name, value in server_facts(ledger_url).items()}


def server_facts(url: str) -> dict[str, Any]:
    """Return the version and settings of a PostgreSQL, and the size of its database; nothing where it is silent."""
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as ledger:
            facts = {
                name.lower(): row[0]
                for name in SETTINGS
                if (row := ledger.execute("SELECT current_setting(%s, true)", (name,)).fetchone())
            }
            row = ledger.execute("SELECT pg_database_size(current_database())").fetchone()
    except psycopg.Error:
        return {}
    return facts | {"size_mib": round(row[0] / 2**20) if row else 0}


def production_of(spec: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return production's facts as `[production]` gives them, and what is wrong with them; both empty without one."""
    section = spec.get("production") or {}
    facts = dict(section.get("identity") or {})
    if not section.get("file"):
        return facts, ""
    path = Path(str(section["file"]))
    try:
        if path.stat().st_size > MOST_BYTES:
            return {}, f"[production] file {path} is larger than 64 KiB: name what preflight --identity wrote"
        told = json.loads(path.read_text())
    except OSError as error:
        return {}, f"[production] file {path} cannot be read: {error.strerror}"
    except ValueError:
        return {}, f"[production] file {path} is not JSON: name what preflight --identity wrote"
    if not isinstance(told, dict):
        return {}, f"[production] file {path} holds no facts: name what preflight --identity wrote"
    return {str(name): value for name, value in told.items() if name not in LEFT_OUT} | facts, ""


def differences(here: Mapping[str, Any], production: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what is not alike, by fact; what one of both does not know is a difference too. Pure."""
    names = [*production, *(name for name in here if name not in production)] if production else []
    lines = [
        {"fact": name, "here": str(here.get(name, "not known")), "production": str(production.get(name, "not known"))}
        for name in names
        if str(here.get(name)) != str(production.get(name))
    ]
    return sorted(lines, key=lambda line: line["fact"])
