"""Crash points from two clean recordings of one operation: pure.

A crash point is named by channel, direction, fingerprint and occurrence since the operation was asked for, never by
position: drivers prepare differently on a second run, and a target has a life of its own in the background.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

from gates.chaos.messages import Channel, Direction, Message, Point

Kind = tuple[Channel, Direction, str]
SHOWN = 80  # characters of a fingerprint in a sentence
ASKED = "the operation was asked for"
OPENINGS: frozenset[Kind] = frozenset((Channel.LEDGER, way, "CONNECT") for way in Direction)


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
    def since(cls, known: Counter[Kind], everything: Iterable[Message]) -> "Recording":
        """What `everything` holds beyond what is `known` to have passed before, both counted since the same reset."""
        ordered = sorted(everything, key=lambda message: message.at_s)
        return cls(tuple(message for message in ordered if message.occurrence > known[kind_of(message)]), known)

    def until(self, struck: Message) -> tuple[Kind, ...]:
        """The kinds of what passed up to the message struck, itself the last; nothing where it was not recorded."""
        for place, message in enumerate(self.messages, start=1):
            if message.point == struck.point:
                return tuple(kind_of(each) for each in self.messages[:place])
        return ()

    def behind(self, struck: Message) -> tuple[Message, ...]:
        """What passed behind the message struck; nothing where it was not recorded."""
        for place, message in enumerate(self.messages, start=1):
            if message.point == struck.point:
                return self.messages[place:]
        return ()

    def holds_besides(self, struck: Message, order: Sequence[Kind]) -> bool:
        """Whether all of an operation's messages passed in their order even without the one struck."""
        rest = (kind_of(message) for message in self.messages if message.point != struck.point)
        return bool(order) and all(kind in rest for kind in order)  # each is looked for behind the one before

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
class Script:
    """The kinds of an operation's messages as they follow each other in its clean runs.

    `aside` are those of the background that came in between without any message of the operation's kinds; `pause_s` is
    the longest time between two of its messages.
    """

    order: tuple[Kind, ...] = ()
    aside: frozenset[Kind] = frozenset()
    pause_s: float = 0.0

    @property
    def without_openings(self) -> tuple[Kind, ...]:
        """The order of what the operation says, however many connections are opened for it."""
        return tuple(kind for kind in self.order if kind not in OPENINGS)

    def shape(self) -> dict[str, Any]:
        """As JSON."""
        order, aside = ([list(kind) for kind in kinds] for kinds in (self.order, sorted(self.aside)))
        return {"order": order, "aside": aside, "pause_s": self.pause_s}

    @classmethod
    def of(cls, shape: Mapping[str, Any]) -> "Script":
        """What `shape` gave; empty where it was written down without one."""
        order, aside = (
            [(Channel(channel), Direction(way), name) for channel, way, name in shape.get(part, ())]
            for part in ("order", "aside")
        )
        return cls(tuple(order), frozenset(aside), float(shape.get("pause_s", 0.0)))


@dataclass(frozen=True, slots=True)
class Baseline:
    """The crash points of an operation, and the background: what only one of the recordings holds.

    `pause_s` is the longest time between two neighbouring crash points.
    """

    points: tuple[CrashPoint, ...]
    background: tuple[CrashPoint, ...]
    pause_s: float = 0.0

    @property
    def script(self) -> Script:
        """What a strike is compared with."""
        order = tuple(_kind(each.point) for each in self.points)
        return Script(order, frozenset(_kind(each.point) for each in self.background) - set(order), self.pause_s)


def baseline(recordings: Sequence[Recording]) -> Baseline:
    """Keep what every recording holds, in the order of the first. Raises ValueError for fewer than two recordings."""
    if len(recordings) < 2:
        raise ValueError("Crash points need two recordings: what only one holds is background.")
    maps = [recording.points() for recording in recordings]
    common = set.intersection(*(set(each) for each in maps))
    first = _listed(maps[0].items(), common, kept=True)
    background = {row.point: row for each in maps for row in _listed(each.items(), common, kept=False)}
    return Baseline(first, tuple(background.values()), max(_pause_s(each, common) for each in maps))


Agree = Callable[[Sequence[Kind], Sequence[Kind]], bool]


def same_order(first: Sequence[Kind], second: Sequence[Kind]) -> bool:
    """Whether two recordings hold an operation's messages in the same order, and nothing else of their kinds.

    A message of the background of such a kind would be taken for the operation's, and shift what follows.
    """
    own = set(first).intersection(second)
    return _only(own, first) == _only(own, second)


def same_beginning(first: Sequence[Kind], second: Sequence[Kind]) -> bool:
    """Whether the longer of two recordings begins with all of the other: what comes behind is a target at rest."""
    shorter = min(len(first), len(second))
    return first[:shorter] == second[:shorter]


def agreeing(recordings: Sequence[Recording], agree: Agree = same_order) -> tuple[Recording, Recording] | None:
    """The first two of the recordings that agree."""
    for first, second in combinations(recordings, 2):
        if agree(*([kind_of(message) for message in each.messages] for each in (first, second))):
            return first, second
    return None


def wrongly_struck(script: Script, passed: Sequence[Kind], since: str = ASKED) -> str:
    """Why the last of what `passed` since the operation was asked for is not shown to be its message; empty if it is.

    Until then exactly what comes first in the clean run must have passed: then the moment is the same on both
    boundaries. Anything more is the background's, which may have shifted the count, even where its kind is unknown.
    Only connections that are opened on the way, unless one was struck, are left out: a pool does that by its own clock,
    and nothing else is counted with them.
    """
    aside = script.aside if OPENINGS.intersection(passed[-1:]) else script.aside | OPENINGS
    came, order = ([kind for kind in kinds if kind not in aside] for kinds in (passed, script.order))
    for number, kind in enumerate(came, start=1):
        expected = order[number - 1] if number <= len(order) else None
        if kind != expected:
            sends = f"{expected[1]} {expected[2][:SHOWN]}" if expected else "nothing more"
            return (
                f"The wrong message was struck: message {number} since {since} was "
                f"{kind[1]} {kind[2][:SHOWN]}, where it sends {sends}."
            )
    return "" if came else f"The wrong message was struck: it is not among what passed since {since}."


def absolute(point: Point, known: Counter[Kind]) -> Point:
    """The point as a proxy counts it: since its last reset, `known` having passed before the operation."""
    before = known[_kind(point)]
    return Point(point.channel, point.direction, point.fingerprint, point.occurrence + before)


def kind_of(message: Message) -> Kind:
    """What messages of one kind share."""
    return (message.channel, message.direction, message.fingerprint)


def _kind(point: Point) -> Kind:
    return (point.channel, point.direction, point.fingerprint)


def _only(own: set[Kind], kinds: Iterable[Kind]) -> list[Kind]:
    return [kind for kind in kinds if kind in own]


def _pause_s(recorded: Mapping[Point, Message], common: set[Point]) -> float:
    times = [message.at_s for point, message in recorded.items() if point in common]
    return max((after - before for before, after in pairwise(times)), default=0.0)


def _listed(rows: Iterable[tuple[Point, Message]], common: set[Point], *, kept: bool) -> tuple[CrashPoint, ...]:
    return tuple(
        CrashPoint(point, message.label, position)
        for position, (point, message) in enumerate(rows)
        if (point in common) is kept
    )
