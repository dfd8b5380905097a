"""A trial: which strike is made at which message of which operation. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gates.chaos.baseline import Script
from gates.chaos.messages import KILLS, Direction, Point, Strike

SHOWN = 40  # characters of a parameter, its end: of a path that is the file


@dataclass(frozen=True, slots=True)
class Then:
    """A second strike: a kill at a message of the recovery, counted from the restart.

    `script` holds the kinds of the recovery's messages as recorded, and `state` the durable state that the first kill
    left then; with none of either no strike is shown to be the one that is meant. `asked`: it sends them only once it
    is asked whether it is well.
    """

    point: Point
    strike: Strike
    script: Script = field(default_factory=Script)
    state: str = ""
    asked: bool = False

    def shape(self) -> dict[str, Any]:
        """The recovery as JSON, without its state."""
        return self.script.shape() | {"asked": self.asked}


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be struck where. `half_open` leaves a killed target's server connections open until the end.

    `held_ms` is how long the message stands before it is struck, see `telling`.
    """

    operation: str
    point: Point
    strike: Strike
    parameters: Mapping[str, Any] = field(default_factory=dict)
    half_open: bool = False
    then: Then | None = None
    held_ms: int = 0

    @property
    def kills(self) -> bool:
        """Whether the target dies of it."""
        return self.strike in KILLS

    @property
    def cuts_all(self) -> bool:
        """Whether it ends every connection of the channel: also where nobody asks for another, and it proves nothing by
        itself, the target must have survived that.
        """
        return self.strike is Strike.REFUSE_CONNECTIONS

    @property
    def leaves_one_state(self) -> bool:
        """Whether it is a kill that leaves the same durable state each time.

        A target that was given an answer runs on, and how far it comes until it is dead is chance. Each state that this
        leaves, a kill before a later message leaves for sure.
        """
        return self.strike is Strike.KILL_BEFORE or (self.kills and self.point.direction is Direction.REQUEST)

    @property
    def lasting_s(self) -> float:
        """How long the strike itself may last, by its parameters."""
        return (self.held_ms + sum(value for name, value in self.parameters.items() if name.endswith("_ms"))) / 1000

    @property
    def first_fault(self) -> str:
        """The first fault in words, by which `--strike` names it too: `delay (delay_ms 4000)`."""
        details = ", ".join(f"{name} {str(value)[-SHOWN:]}" for name, value in self.parameters.items())
        return f"{self.strike}{f' ({details})' if details else ''}{', left half open' * self.half_open}"

    @property
    def fault(self) -> str:
        """All of it in words."""
        return self.first_fault if self.then is None else f"{self.first_fault}, then {self.then.strike} in the recovery"
