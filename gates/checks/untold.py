"""What a health answer does not tell, and the description says how to learn: the build, the process, two round trips.

A system that was written before the portal says "ok" and no more; the portal then looks by itself, from where it runs.
"""

import time
from typing import Any

import psycopg

from audits.contract import ACCOUNTS
from audits.sources import BrokerError, LedgerUnreadable
from audits.sources.oanda import OandaReader
from gates.targets.access import Access
from gates.targets.builds import BuildUnknownError, build_of
from gates.targets.kinds import ControlError, control_of
from gates.targets.kinds.kubernetes import UNSEEN
from gates.targets.ledgers import ledger_of


def untold(seen: dict[str, Any], access: Access) -> dict[str, Any]:
    """Return what was not in `seen`: `build`, and of a target that answers `pid`, `database_ms` and `broker_ms`, each
    where it can be learnt; `trouble` says why the build, or a pod's process, cannot.
    """
    found: dict[str, Any] = {}
    if "build" not in seen and access.build:
        try:
            found["build"] = build_of(access.build)
        except BuildUnknownError as error:
            found["trouble"] = str(error)
    if "error" in seen or not access.process or str(access.process.get("health", "")).startswith("rehearsal:"):
        return found
    if "pid" not in seen and ("pid_elsewhere" not in seen or _is_described(access)):
        found["pid"] = _pid(access)
    if access.process.get("kind") == "kubernetes":
        found["trouble"] = " ".join(filter(None, (found.get("trouble"), UNSEEN)))
    found |= {"database_ms": _database_ms(access)} if "database_ms" not in seen else {}
    found |= {"broker_ms": _broker_ms(access)} if "broker_ms" not in seen else {}
    return {key: value for key, value in found.items() if value is not None}


def _is_described(access: Access) -> bool:
    """Whether the description says more of the process than where it listens, which may be a way to it only."""
    return bool(access.process.get("pid_file")) or access.process.get("kind", "command") != "command"


def _pid(access: Access) -> int | None:
    """The process's number on this machine, by what runs it; None where that does not tell."""
    try:
        running = control_of(access.process, access.health_url).running()
    except ControlError:
        return None
    return running.pid if running else None


def _database_ms(access: Access) -> float | None:
    """How long the ledger takes to count its accounts, asked by the portal; None where it does not answer."""
    began = time.monotonic()
    try:
        with ledger_of(access).at_one_moment([ACCOUNTS]) as moment:
            moment.count(ACCOUNTS)
    except (LedgerUnreadable, psycopg.Error):
        return None
    return _since(began)


def _broker_ms(access: Access) -> float | None:
    """How long the broker takes to answer for the account, asked by the portal; None where it does not answer."""
    began = time.monotonic()
    try:
        with OandaReader(access.broker_url, access.broker_account, access.broker_token) as broker:
            broker.summary()
    except BrokerError:
        return None
    return _since(began)


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
