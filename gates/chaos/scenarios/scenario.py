"""What a scenario is: operations, and which strikes are aimed at which of their messages. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gates.chaos.baseline import CrashPoint
from gates.chaos.messages import Channel, Direction, Strike
from gates.chaos.scenarios.statements import may_write
from gates.chaos.trials import Trial

EITHER_END = "done once or not at all"
Where = Callable[[CrashPoint], bool]
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


def everywhere(_: CrashPoint) -> bool:
    """At every message."""
    return True


def requests(crash_point: CrashPoint) -> bool:
    """At every request."""
    return crash_point.point.direction == Direction.REQUEST


def answers(crash_point: CrashPoint) -> bool:
    """At every answer."""
    return crash_point.point.direction == Direction.ANSWER


def writes(crash_point: CrashPoint) -> bool:
    """At every message of a statement that locks or changes rows, or calls a function that may, and of an HTTP request
    that changes something.
    """
    words = f"{crash_point.label} {crash_point.point.fingerprint}".upper().split()
    return bool(CHANGING.intersection(words)) or may_write(crash_point.point.fingerprint)


def both(first: Where, second: Where) -> Where:
    """Where both say so."""
    return lambda crash_point: first(crash_point) and second(crash_point)


def on(channel: Channel, where: Where = everywhere) -> Where:
    """At those of one boundary."""
    return lambda crash_point: crash_point.point.channel == channel and where(crash_point)


@dataclass(frozen=True, slots=True)
class Aim:
    """One kind of strike, its parameters (units in their names), and the messages it is aimed at."""

    strike: Strike
    where: Where
    parameters: Mapping[str, Any] = field(default_factory=dict)
    half_open: bool = False

    def trials(self, operation: str, points: Iterable[CrashPoint]) -> Iterator[tuple[CrashPoint, Trial]]:
        """One trial for each message it is aimed at."""
        for each in points:
            if self.where(each):
                yield each, Trial(operation, each.point, self.strike, dict(self.parameters), self.half_open)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of the twelve, or of a user's own. `expects` says in words what must come out.

    `end` is the only legal one where not both are: `done` or `not done`.
    """

    name: str
    title: str
    operations: tuple[str, ...]
    aims: tuple[Aim, ...]
    expects: str = f"{EITHER_END}, the books right to the last digit, and trading goes on"
    end: str = ""

    def trials(self, operation: str, points: Iterable[CrashPoint]) -> list[tuple[CrashPoint, Trial]]:
        """Every trial of one operation, in the order of the operation's messages."""
        listed = tuple(points)
        found = [pair for aim in self.aims for pair in aim.trials(operation, listed)]
        return sorted(found, key=lambda pair: pair[0].position)


# A kill after a request is the kill before its answer: the answer stands complete at the proxy. Each is made once.
KILLS = (Aim(Strike.KILL_BEFORE, everywhere), Aim(Strike.KILL_AFTER, answers))
EVERY_OPERATION = ("open", "close", "partial_fill", "margin_update", "reconcile", "replay")
