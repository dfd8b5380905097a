"""Where a run was taken: the environment's facts at its start, and what of them is not production's.

It is kept in the run's baseline and told in its report, so that nobody takes what was proven here for proven there.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gates.targets.access import Access, TargetUnreachableError, cells_ledger
from gates.targets.preflight.identity import differences, identity, production_of, server_facts

NOT_SAID = "the description has no [production] that says what production is like"
CELLS, LEDGER = "cells_", "ledger_"


def environment_of(spec: Mapping[str, Any], access: Access, now: datetime, *, cells: bool = False) -> dict[str, Any]:
    """Return the facts as texts, whether they were compared with production's (and why not), and what differs.

    With `cells` they hold the server on which gate 2 makes its copies, where it is another. `differences` are
    `{fact, here, production}`. A ledger that does not answer leaves its server's facts unknown.
    """
    facts = identity(access) | (_cells(spec) if cells else {})
    production, trouble = production_of(spec)
    if production:  # copies of the books stand for production's ledger
        copied = {name: name.replace(CELLS, LEDGER, 1) for name in facts if name.startswith(CELLS)}
        production = {name: production.get(like, "not known") for name, like in copied.items()} | production
    return {
        "seen_at": now.isoformat().replace("+00:00", "Z"),
        "facts": {name: str(value) for name, value in sorted(facts.items())},
        "compared": bool(production),
        "not_compared_because": "" if production else trouble or NOT_SAID,
        "differences": differences(facts, production),
    }


def _cells(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The copies' server, where the description names one."""
    if not (spec.get("chaos") or {}).get("ledger"):
        return {}
    try:
        address = cells_ledger(spec)
    except TargetUnreachableError:
        return {}
    told = server_facts(address)
    told.pop("size_mib", None)  # copies are as large as the template
    return {f"{CELLS}{name}": value for name, value in told.items()}
