"""How many planted defects are found: by striking every message, and by what people do today.

Each defect of gate 2 is planted in the bundled desk and hunted in three ways. A sweep strikes every message of its
scenario: it is cut short at the strike that finds the defect, which it would have made anyway. A random kill inside the
operation, and one in the life of the process (it starts, does the operation, and is killed at any moment of that), get
as many tries as the sweep has strikes, but at most `--scale`; then the same restart, audit and proof of life. Found is
what is found for its own reason.

`false_alarms` counts what all three find on the clean desk: at the strikes that caught a defect, and at `--scale`
random kills of each kind. Not measured: defects planted by others; catalogue and judge have the same author.

It says how long it still takes as it goes, and at its end which defect was found by which way.
"""

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from gates.detection.catalogue import Planted, catalogue
from gates.detection.cells import UNCARRIED
from gates.detection.clean import strike_clean
from gates.detection.luck import Within, kill_until_found
from gates.detection.rehearsing import Outcome
from gates.detection.striking import scenarios_of, strike_until_caught
from gates.detection.sweeping import sweep
from wartest_site.benchmarks import Figures, Say
from wartest_site.embedded.children import CannotStartError
from wartest_site.embedded.postgres import running_postgres

SCALE = 20
AT_ONCE = 3
CHAOS = 2
OPERATION = "open"  # on the clean desk


@dataclass(frozen=True)
class Hunted:
    """One defect: whether each way found it, and the tries that each made."""

    name: str
    swept: bool
    in_operation: bool
    in_life: bool
    strikes: int
    kills: tuple[int, int]
    false_alarms: int


def measure(scale: int, say: Say) -> Figures:
    """Return how many defects each way found, and the false alarms."""
    defects = [defect for defect in catalogue() if defect.gate == CHAOS]
    with (
        tempfile.TemporaryDirectory(prefix="wartest-bench-") as folder,
        running_postgres(Path(folder) / "postgres", durable=False) as server,
    ):
        url, places = server.url(), range(1, AT_ONCE + 1)
        try:
            each = sweep(places, defects, lambda place, defect: _hunt(url, place, defect, (scale, say)))
            hunted = _counted(each, len(defects), say)
            ways = [*Within]
            clean = sweep(places, ways, lambda place, way: _clean_kills(url, place, way, scale))
            false_alarms = sum(clean) + sum(each.false_alarms for each in hunted)
        except UNCARRIED as error:
            raise CannotStartError(f"A cell did not work: {type(error).__name__}: {error}") from error
    for line in table(hunted):
        say(line)
    return _figures(hunted) | {"false_alarms": false_alarms}


def _counted(hunted: Iterable[Hunted], count: int, say: Say) -> list[Hunted]:
    """All of them; after each, how many there are and how long the rest takes at that pace."""
    began, seen = time.monotonic(), list[Hunted]()
    for each in hunted:
        seen.append(each)
        left_min = (time.monotonic() - began) / len(seen) * (count - len(seen)) / 60
        say(f"{len(seen)} of {count} defects hunted; the rest takes about {left_min:.0f} min")
    return seen


def table(hunted: Sequence[Hunted]) -> list[str]:
    """Which way found which defect, a line each."""
    width = max(len("defect"), *(len(each.name) for each in hunted))
    ways = ("every message", "one kill in the operation", "one kill in the process's life")
    lines = ["  ".join(("defect".ljust(width), *ways))]
    for each in sorted(hunted, key=lambda one: one.name):
        words = map(_word, (each.swept, each.in_operation, each.in_life))
        cells = (word.ljust(len(way)) for word, way in zip(words, ways, strict=True))
        lines.append("  ".join((each.name.ljust(width), *cells)).rstrip())
    return lines


def _hunt(url: str, place: int, defect: Planted, how: tuple[int, Say]) -> Hunted:
    """Hunt one defect in all three ways."""
    scale, say = how
    swept = strike_until_caught(url, defect, number=place)
    trial = swept.shown_by.trial if swept.shown_by else None
    operation = trial.operation if trial else (*defect.operations, *next(scenarios_of(defect)).operations)[0]
    kills = min(scale, max(swept.planned, 1))
    tried = [kill_until_found(url, defect, operation, way, kills=kills, number=place) for way in Within]
    clean = strike_clean(url, (trial,), number=place) if trial else None
    found = swept.outcome == Outcome.CAUGHT
    words = ", ".join(f"{way}: {_word(each.found)} ({each.kills})" for way, each in zip(Within, tried, strict=True))
    say(f"{defect.name}: every message: {_word(found)} ({swept.strikes} of {swept.planned}), {words}")
    return Hunted(
        name=defect.name,
        swept=found,
        in_operation=tried[0].found,
        in_life=tried[1].found,
        strikes=swept.planned,
        kills=(tried[0].kills, tried[1].kills),
        false_alarms=len(clean.findings) if clean else 0,
    )


def _clean_kills(url: str, place: int, way: Within, kills: int) -> int:
    return kill_until_found(url, None, OPERATION, way, kills=kills, number=place).alarms


def _figures(hunted: Sequence[Hunted]) -> Figures:
    return {
        "defects": len(hunted),
        "exhaustive_found": sum(each.swept for each in hunted),
        "random_in_operation_found": sum(each.in_operation for each in hunted),
        "random_in_life_found": sum(each.in_life for each in hunted),
        "strikes_in_a_sweep": round(mean(each.strikes for each in hunted), 1),
        "kills_in_operation": sum(each.kills[0] for each in hunted),
        "kills_in_life": sum(each.kills[1] for each in hunted),
    }


def _word(found: bool) -> str:
    return "found" if found else "not found"
