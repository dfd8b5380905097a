"""A description in words, without what it must not show. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from gates.targets.text_kinds import looks_secret

HIDDEN = "•••"


def ledger_words(spec: Mapping[str, Any]) -> str:
    """Say where the books are."""
    ledger = spec.get("ledger") or {}
    address = str(ledger.get("supabase") or ledger.get("url") or "")
    kind = "hosted, over HTTP" if ledger.get("supabase") else "PostgreSQL"
    return f"books: {kind}, {_place(address)}, schema {ledger.get('schema', 'wartest')}"


def broker_words(spec: Mapping[str, Any]) -> str:
    """Say where the account is."""
    broker = spec.get("broker") or {}
    return f"broker: {broker.get('kind', 'oanda')}, {_place(str(broker.get('url') or ''))}"


def process_words(spec: Mapping[str, Any]) -> str:
    """Say what runs it."""
    process = spec.get("process") or {}
    if not process:
        return "process: not described"
    kind = str(process.get("kind", "command"))
    what = process.get("unit") or process.get("container") or process.get("deployment")
    return f"process: {kind}{f' {what}' if what else ''}"


def shown(value: Any, key: str = "") -> Any:
    """Return a description as pages show it: passwords in addresses and whatever looks like a secret are left out."""
    if isinstance(value, Mapping):
        return {name: shown(each, str(name)) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [shown(each, key) for each in value]
    if not isinstance(value, str) or value.startswith(("env:", "file:", "rehearsal:")):
        return value
    if "://" in value:
        return bare(value)
    return HIDDEN if looks_secret(key, value) else value


def flat(value: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Return a description as lines of key and value, sections by dots."""
    lines: list[tuple[str, str]] = []
    for name, each in value.items():
        path = f"{before}.{name}" if before else str(name)
        if isinstance(each, Mapping):
            lines += flat(each, path)
        else:
            lines.append((path, " ".join(map(str, each)) if isinstance(each, list) else str(each)))
    return lines


def _place(address: str) -> str:
    if not address or (":" in address and "://" not in address):
        return address or "nowhere"
    return bare(address)


def bare(address: str) -> str:
    """An address without name, password and what may stand behind a question mark."""
    try:
        parts = urlsplit(address)
        place = parts.netloc.rpartition("@")[2]
    except ValueError:
        return HIDDEN
    return f"{parts.scheme}://{place}{parts.path}"
