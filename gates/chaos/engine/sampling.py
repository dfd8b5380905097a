"""Which of a scenario's trials are made: all, a sample, or the one that is asked for. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from gates.chaos.baseline import CrashPoint
from gates.chaos.messages import Strike
from gates.chaos.trials import Trial

Pair = tuple[CrashPoint, Trial]
# Where these apply is known only when they are made: a sample takes more of them, or it would often show nothing.
MAY_NOT_APPLY = frozenset({Strike.DEADLOCK, Strike.LOCK_HELD, Strike.STALE_LOOKUP})
MORE = 5


class Asked(Protocol):
    """What narrows the trials: an operation, a point, a strike and a point of the recovery by name (empty: all), and
    `sampled` of each kind (None: all)."""

    only_operation: str
    only_point: str
    only_strike: str
    only_then: str
    sampled: int | None


def chosen(trials: Sequence[Pair], asked: Asked) -> list[Pair]:
    """The trials that are made, in their order. A sample is spread evenly over the messages of each fault."""
    kept = [pair for pair in trials if _is_asked(pair[1], asked)]
    if asked.sampled is None or asked.only_point:
        return kept
    kinds: defaultdict[str, list[int]] = defaultdict(list)
    for place, (_, trial) in enumerate(kept):
        kinds[trial.fault].append(place)
    places: set[int] = set()
    for each in kinds.values():
        more = MORE if kept[each[0]][1].strike in MAY_NOT_APPLY else 1
        places.update(_spread(each, asked.sampled * more))
    return [pair for place, pair in enumerate(kept) if place in places]


def _is_asked(trial: Trial, asked: Asked) -> bool:
    if asked.only_operation not in ("", trial.operation):
        return False
    if asked.only_point and str(trial.point) != asked.only_point:
        return False
    if asked.only_then and trial.then is not None and str(trial.then.point) != asked.only_then:
        return False
    return not asked.only_strike or asked.only_strike in (trial.fault, trial.first_fault, trial.strike)


def _spread(places: list[int], count: int) -> list[int]:
    """At most `count` of the places, evenly spread, the middle one for a single."""
    if len(places) <= count:
        return places
    step = len(places) / count
    return [places[int(step * number + step / 2)] for number in range(count)]
