"""The faults, in the order in which pages and reports show them."""

from typing import Any

from gates.chaos.faults.broker_refusal import BrokerRefusal
from gates.chaos.faults.clean_close import CleanClose
from gates.chaos.faults.delay import Delay
from gates.chaos.faults.fault import Fault, parameters
from gates.chaos.faults.half_open import HalfOpen
from gates.chaos.faults.kill_after import KillAfter
from gates.chaos.faults.kill_before import KillBefore
from gates.chaos.faults.lose_answer import LoseAnswer
from gates.chaos.faults.lose_request import LoseRequest
from gates.chaos.faults.refuse_connections import RefuseConnections
from gates.chaos.faults.reset import Reset
from gates.chaos.faults.stale_lookup import StaleLookup
from gates.chaos.faults.stall import Stall
from gates.chaos.faults.terminate_backend import TerminateBackend

# What a proxy can be armed with. StaleLookup is armed at the broker itself.
WIRE_FAULTS: tuple[type[Fault], ...] = (
    KillBefore,
    KillAfter,
    LoseRequest,
    LoseAnswer,
    Delay,
    Stall,
    HalfOpen,
    Reset,
    CleanClose,
    RefuseConnections,
    TerminateBackend,
    BrokerRefusal,
)


def fault_of(strike: str, given: dict[str, Any]) -> Fault:
    """The fault of that name with those parameters. Raises ValueError with one sentence."""
    for kind in WIRE_FAULTS:
        if kind.strike == strike:
            try:
                return kind(**given)
            except TypeError:
                raise ValueError(f"The parameters of {strike} are wrong: {', '.join(given) or 'none given'}") from None
    raise ValueError(
        f"There is no strike {strike!r} on the wire; use one of {', '.join(k.strike for k in WIRE_FAULTS)}"
    )


__all__ = [
    "WIRE_FAULTS",
    "BrokerRefusal",
    "CleanClose",
    "Delay",
    "Fault",
    "HalfOpen",
    "KillAfter",
    "KillBefore",
    "LoseAnswer",
    "LoseRequest",
    "RefuseConnections",
    "Reset",
    "StaleLookup",
    "Stall",
    "TerminateBackend",
    "fault_of",
    "parameters",
]
