"""What crosses a target's boundaries, and where to strike it. Pure data.

The unit is the round trip: a client batch up to Query or Sync and an answer up to ReadyForQuery; an HTTP request and
its reply; one line of a stream.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Proof = Mapping[str, str | int | float | bool]


class Channel(StrEnum):
    """A boundary of the target."""

    LEDGER = "ledger"
    BROKER = "broker"


class Direction(StrEnum):
    """A request leaves the target, an answer comes to it."""

    REQUEST = "request"
    ANSWER = "answer"


class Side(StrEnum):
    """Before a message passes, or after."""

    BEFORE = "before"
    AFTER = "after"


class Strike(StrEnum):
    """The kinds of strike. Which of them is made where is the scenarios' to say."""

    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after"
    LOSE_REQUEST = "lose the request"
    LOSE_ANSWER = "lose the answer"
    DELAY = "delay"
    STALL = "stall"
    HALF_OPEN = "half-open"
    RESET = "reset"
    CLEAN_CLOSE = "clean close"
    REFUSE_CONNECTIONS = "refuse connections"
    TERMINATE_BACKEND = "terminate backend"
    BROKER_REFUSAL = "broker refusal"
    STALE_LOOKUP = "stale look-up"
    DEADLOCK = "deadlock"
    LOCK_HELD = "lock held"
    EXPERIMENT = "chaos toolkit experiment"


KILLS = (Strike.KILL_BEFORE, Strike.KILL_AFTER)


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A crash point: the `occurrence`-th message, from 1, of a fingerprint, one way.

    Of a row, a report and a command it is counted since the operation was asked for, of a `Then` since the target was
    started again, and at a proxy since its last reset: `baseline.absolute` leads from the first to the last.
    """

    channel: Channel
    direction: Direction
    fingerprint: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.channel}:{self.direction}:{self.occurrence}:{self.fingerprint}"

    @classmethod
    def parse(cls, text: str) -> "Point":
        """The point that `str` wrote, like `ledger:request:2:COMMIT`. Raises ValueError with one sentence."""
        try:
            channel, direction, occurrence, fingerprint = text.split(":", 3)
            point = cls(Channel(channel), Direction(direction), fingerprint, int(occurrence))
        except ValueError:
            raise ValueError(f"{text!r} is no crash point; write one like ledger:request:2:COMMIT") from None
        if point.occurrence < 1 or not fingerprint:
            raise ValueError(f"{text!r} is no crash point: occurrences count from 1 and a fingerprint is not empty")
        return point


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a proxy saw it.

    `label` says it in words: `ledger: COMMIT`, `ledger: COMMIT acknowledged`, `broker: POST orders answered 201`.
    `outcome` is what an answer said: a command tag or `ERROR 40P01`, a status code; empty for a request.
    `at_s` is the machine's monotonic clock, the same for all proxies, so that two recordings can be merged.
    """

    channel: Channel
    direction: Direction
    fingerprint: str
    occurrence: int
    label: str
    at_s: float
    connection: int
    outcome: str = ""

    @property
    def point(self) -> Point:
        return Point(self.channel, self.direction, self.fingerprint, self.occurrence)

    def shape(self) -> list[Any]:
        """As JSON carries it."""
        return [
            *(self.channel, self.direction, self.fingerprint, self.occurrence),
            *(self.label, self.at_s, self.connection, self.outcome),
        ]

    @classmethod
    def of(cls, shape: list[Any]) -> "Message":
        """The message that `shape` gave."""
        channel, direction, *rest = shape
        return cls(Channel(channel), Direction(direction), *rest)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a strike struck: what was seen, with units in the names (`pid`, `signal`, `delay_ms`, `sqlstate`)."""

    strike: Strike
    message: Message | None
    at_s: float
    proof: Proof = field(default_factory=dict)
