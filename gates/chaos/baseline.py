"""Crash points from two clean recordings of one operation: pure.

A crash point is named by channel, direction, fingerprint and occurrence since the operation was asked for, never by
position: drivers prepare differently on a second run, and a target has a life of its own in the background.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gates.chaos.messages import Channel, Direction, Message, Point

Kind = tuple[Channel, Direction, str]


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """One message of the operation, with its place in the clean run and its label in words."""

    point: Point
    label: str
    position: int


@dataclass(frozen=True, slots=True)
class Recording:
    """The messages of one operation in order of time. `known` counts what had passed before it was asked for."""

    messages: tuple[Message, ...]
    known: Counter[Kind]

    @classmethod
    def since(cls, before: Iterable[Message], everything: Iterable[Message]) -> "Recording":
        """What `everything` holds beyond `before`, both recorded since the same reset."""
        known = Counter(kind_of(message) for message in before)
        ordered = sorted(everything, key=lambda message: message.at_s)
        return cls(tuple(message for message in ordered if message.occurrence > known[kind_of(message)]), known)

    def points(self) -> dict[Point, Message]:
        """The messages by their crash points, occurrences counted from the operation's beginning."""
        return {
            Point(
                message.channel,
                message.direction,
                message.fingerprint,
                message.occurrence - self.known[kind_of(message)],
            ): message
            for message in self.messages
        }


@dataclass(frozen=True, slots=True)
class Baseline:
    """The crash points of an operation, and the background: what only one of the recordings holds."""

    points: tuple[CrashPoint, ...]
    background: tuple[CrashPoint, ...]


def baseline(recordings: Sequence[Recording]) -> Baseline:
    """Keep what every recording holds, in the order of the first. Raises ValueError for fewer than two recordings."""
    if len(recordings) < 2:
        raise ValueError("Crash points need two recordings: what only one holds is background.")
    maps = [recording.points() for recording in recordings]
    common = set.intersection(*(set(each) for each in maps))
    first = _listed(maps[0].items(), common, kept=True)
    background = {row.point: row for each in maps for row in _listed(each.items(), common, kept=False)}
    return Baseline(first, tuple(background.values()))


def absolute(point: Point, known: Counter[Kind]) -> Point:
    """The point as a proxy counts it: since its last reset, `known` having passed before the operation."""
    before = known[(point.channel, point.direction, point.fingerprint)]
    return Point(point.channel, point.direction, point.fingerprint, point.occurrence + before)


def kind_of(message: Message) -> Kind:
    """What messages of one kind share."""
    return (message.channel, message.direction, message.fingerprint)


def _listed(rows: Iterable[tuple[Point, Message]], common: set[Point], *, kept: bool) -> tuple[CrashPoint, ...]:
    return tuple(
        CrashPoint(point, message.label, position)
        for position, (point, message) in enumerate(rows)
        if (point in common) is kept
    )
