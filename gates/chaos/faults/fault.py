"""What every fault is: parameters with units, and one way to strike."""

from dataclasses import fields
from typing import Any, ClassVar, Protocol

from gates.chaos.messages import Proof, Side, Strike
from gates.chaos.moments import Moment


class Fault(Protocol):
    """A frozen dataclass.

    `freezes` says when nothing more passes on the whole channel until the owner decided: from the moment the message
    arrives, or from the moment it has passed and a due answer is complete.
    """

    strike: ClassVar[Strike]
    freezes: ClassVar[Side | None]

    async def hit(self, moment: Moment) -> Proof:
        """Strike, and say what was seen. Raises NotApplicableError where it cannot strike here."""


def whole(value: object, name: str, low: int, high: int) -> None:
    """Raises ValueError with one sentence unless `value` is a whole number between the limits."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")


def parameters(fault: Any) -> dict[str, Any]:
    """The parameters of a fault by name, as JSON carries them."""
    return {field.name: getattr(fault, field.name) for field in fields(fault)}
