"""Faults of a broker, on request: what is armed, how often it has struck, and what first."""

import time
from dataclasses import dataclass, field
from typing import Any

KINDS = {
    "late": "the answer comes `delay_ms` after the request was carried out",
    "refused": "the request is not carried out; the answer has `status` (503)",
    "accepted_not_answered": "the order is carried out and the connection is reset without an answer",
    "stale_lookup": "look-ups of orders, trades and transactions do not yet see what is younger than `age_ms` (500)",
    "duplicate_line": "a line of the transaction stream comes twice",
    "missing_line": "a line of the transaction stream is left out",
    "withhold_stops": "touched take profits and stops are not executed",
    "html": "the answer is an HTML page with `status` (200)",
    "unauthorised": "the answer is 401",
}
MAXIMUM_DELAY_MS = 120_000
MAXIMUM_FAULTS = 100
WRITES = ("POST", "PUT", "PATCH")


class BadFaultError(ValueError):
    """A fault that cannot be armed; the message says why."""


@dataclass
class Fault:
    """One armed fault. `times` strikes are left; None means until it is deleted.

    `method` and `path` (a part of the path) limit which requests it strikes. `first` is the first one struck, like
    `GET /v3/accounts/101/trades`, and `first_at_s` when, by the machine's monotonic clock.
    """

    id: int
    kind: str
    times: int | None = None
    delay_ms: int = 0
    status: int = 503
    age_ms: int = 500
    method: str | None = None
    path: str | None = None
    struck: int = 0
    first: str | None = None
    first_at_s: float | None = None

    def shape(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass
class Faults:
    """The armed faults, oldest first, and the number of strikes of each kind since the start."""

    armed: list[Fault] = field(default_factory=list)
    struck: dict[str, int] = field(default_factory=dict)
    _next_id: int = 1

    def arm(self, asked: dict[str, Any]) -> Fault:
        """Arm the fault that a control request describes. Raises BadFaultError."""
        fault = fault_of(asked, self._next_id)
        if len(self.armed) >= MAXIMUM_FAULTS:
            raise BadFaultError(f"{MAXIMUM_FAULTS} faults are armed already; DELETE /faults first")
        self._next_id += 1
        self.armed.append(fault)
        return fault

    def clear(self) -> list[Fault]:
        """Disarm everything; returns what was armed."""
        cleared, self.armed = self.armed, []
        return cleared

    def disarm(self, fault_id: int) -> Fault | None:
        """Disarm one fault; None where it is not armed."""
        fault = next((fault for fault in self.armed if fault.id == fault_id), None)
        if fault is not None:
            self.armed.remove(fault)
        return fault

    def find(self, kind: str, method: str = "", path: str = "") -> Fault | None:
        """The oldest armed fault of `kind` that fits the request, without striking."""
        for fault in self.armed:
            if fault.kind != kind:
                continue
            if (not fault.method or fault.method == method) and (not fault.path or fault.path in path):
                return fault
        return None

    def strike(self, kind: str, method: str = "", path: str = "") -> Fault | None:
        """Use up one strike of a fitting fault; None where there is none."""
        fault = self.find(kind, method, path)
        if fault is None:
            return None
        fault.struck += 1
        if fault.first is None:
            fault.first, fault.first_at_s = f"{method} {path}", time.monotonic()
        self.struck[kind] = self.struck.get(kind, 0) + 1
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.armed.remove(fault)
        return fault


def fault_of(asked: dict[str, Any], fault_id: int) -> Fault:
    """Check a fault request. Raises BadFaultError with one sentence."""
    kind = asked.get("kind")
    if kind not in KINDS:
        raise BadFaultError(f"Unknown fault kind {kind!r}; use one of {', '.join(KINDS)}")
    unknown = set(asked) - {"kind", "times", "delay_ms", "status", "age_ms", "method", "path"}
    if unknown:
        raise BadFaultError(f"Unknown field {sorted(unknown)[0]!r} of fault {kind}")
    return Fault(
        id=fault_id,
        kind=kind,
        times=None if asked.get("times") is None else _whole(asked, "times", 0, (1, 1_000_000)),
        delay_ms=_whole(asked, "delay_ms", 1000 if kind == "late" else 0, (0, MAXIMUM_DELAY_MS)),
        status=_whole(asked, "status", 200 if kind == "html" else 503, (200, 599)),
        age_ms=_whole(asked, "age_ms", 500, (0, MAXIMUM_DELAY_MS)),
        method=str(asked["method"]).upper() if asked.get("method") else None,
        path=str(asked["path"]) if asked.get("path") else None,
    )


def _whole(asked: dict[str, Any], name: str, default: int, limits: tuple[int, int]) -> int:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not limits[0] <= value <= limits[1]:
        raise BadFaultError(f"{name} must be a whole number from {limits[0]} to {limits[1]}, not {value!r}")
    return value
