"""What every fault is: parameters with units, and one way to strike."""

import asyncio
import time
from dataclasses import fields
from typing import Any, ClassVar, Protocol

from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Proof, Side, Strike


class Fault(Protocol):
    """A frozen dataclass.

    `freezes` says when nothing more passes on the whole channel until the owner decided: from the moment the message
    arrives, or from the moment it has passed and a due answer is complete.
    """

    strike: ClassVar[Strike]
    freezes: ClassVar[Side | None]

    async def hit(self, moment: Moment) -> Proof:
        """Strike, and say what was seen. Raises NotApplicableError where it cannot strike here."""


async def whole_time(duration_ms: int) -> float:
    """Wait for all of `duration_ms`, and say how many milliseconds it was.

    A timer of the event loop counts whole milliseconds and may fire up to one too soon; no receipt may say less than
    what was asked for.
    """
    began = time.monotonic()
    ends = began + duration_ms / 1000
    while (left_s := ends - time.monotonic()) > 0:
        await asyncio.sleep(left_s)
    return round((time.monotonic() - began) * 1000, 1)


def whole(value: object, name: str, low: int, high: int) -> None:
    """Raises ValueError with one sentence unless `value` is a whole number between the limits."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")


def parameters(fault: Any) -> dict[str, Any]:
    """The parameters of a fault by name, as JSON carries them."""
    return {field.name: getattr(fault, field.name) for field in fields(fault)}
