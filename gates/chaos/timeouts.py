"""A target's own timeouts, as `[chaos.timeouts]` of its description says them: how slow is slow for it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gates.targets.access import TargetUnreachableError

LEAST_MS, MOST_MS = 500, 60_000


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In milliseconds: how long the target waits for an answer of its broker, how long for its ledger before it gives
    up a transaction, and how long for a lock. Those of the bundled desk where nothing is said.
    """

    broker_ms: int = 3_000
    ledger_ms: int = 10_000
    lock_ms: int = 4_000


def timeouts_of(spec: Mapping[str, Any]) -> Timeouts:
    """Those of a target's description. Raises TargetUnreachableError naming the first that cannot be followed."""
    said = (spec.get("chaos") or {}).get("timeouts") or {}
    known = [field.name for field in fields(Timeouts)]
    if not isinstance(said, Mapping) or not set(said) <= set(known):
        raise TargetUnreachableError(f"[chaos.timeouts] takes {', '.join(known)}, and nothing else.")
    for name, value in said.items():
        if type(value) is not int or not LEAST_MS <= value <= MOST_MS:
            raise TargetUnreachableError(
                f"[chaos.timeouts] {name} must be a whole number of milliseconds from {LEAST_MS} to {MOST_MS}."
            )
    return Timeouts(**said)


def beyond_ms(timeout_ms: int, least_more_ms: int = 1_000) -> int:
    """A time that a timeout is over by for sure, also on a machine that is busy."""
    return timeout_ms + max(least_more_ms, timeout_ms // 10)
