"""How many planted defects are found: by striking every message, and by what people do today.

Each defect of gate 2 is planted in the bundled desk and hunted in three ways. A sweep strikes every message of its
scenario: it is cut short at the strike that finds the defect, which it would have made anyway. A random kill inside the
operation, and one in the life of the process (it starts, does the operation, and is killed at any moment of that), get
as many tries as strikes are planned at the operations that the sweep had recorded by then, but at most `--scale`;
`tries_capped` counts the defects whose tries that cut. Then the same restart, audit and proof of life. Found is what is
found for its own reason.

A random kill is only a kill, while a sweep also loses requests and answers, stalls, locks. `found_by_a_kill` are the
defects that a kill of the sweep found, and `random_…_of_those` how many of these the random ways found too.

`false_alarms` counts what all three find on the clean desk: at the strikes that caught a defect, and at CLEAN_KILLS
random kills of each kind in each operation in which one was hunted; `clean_not_judged` counts what of these nobody
could judge. Not measured: defects planted by others; catalogue and judge have the same author.

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
from gates.detection.judgement import Judged
from gates.detection.luck import Tried, Within, kill_until_found
from gates.detection.rehearsing import Outcome
from gates.detection.striking import scenarios_of, strike_until_caught
from gates.detection.sweeping import sweep
from wartest_site.benchmarks import Figures, Say
from wartest_site.embedded.children import CannotStartError
from wartest_site.embedded.postgres import running_postgres

SCALE = 1_000  # above the strikes of any operation's sweep: the tries are as many
AT_ONCE = 3
CHAOS = 2
CLEAN_KILLS = 20  # at most, as `--scale` is


@dataclass(frozen=True)
class Hunted:
    """One defect: whether each way found it, and the tries that each made; `by_kill` says that it was a kill by which
    the sweep did. `strikes` are those planned, to which `capped` tries do not come up; of the clean desk at the strike
    that found it, `clean` says what was found there, and what not judged.
    """

    name: str
    operation: str
    swept: bool
    in_operation: bool
    in_life: bool
    strikes: int
    kills: tuple[int, int]
    by_kill: bool
    capped: bool
    clean: tuple[int, int]


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
            works = [(way, operation) for operation in sorted({each.operation for each in hunted}) for way in Within]
            clean = list(sweep(places, works, lambda place, work: _clean_kills(url, place, work, scale)))
        except UNCARRIED as error:
            raise CannotStartError(f"A cell did not work: {type(error).__name__}: {error}") from error
    for line in table(hunted):
        say(line)
    return _figures(hunted, clean)


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
    clean = strike_clean(url, (trial,), number=place) if trial else Judged()
    found = swept.outcome == Outcome.CAUGHT
    words = ", ".join(f"{way}: {_word(each.found)} ({each.kills})" for way, each in zip(Within, tried, strict=True))
    say(f"{defect.name}: every message: {_word(found)} ({swept.strikes} of {swept.planned}), {words}")
    return Hunted(
        name=defect.name,
        operation=operation,
        swept=found,
        in_operation=tried[0].found,
        in_life=tried[1].found,
        strikes=swept.planned,
        kills=(tried[0].kills, tried[1].kills),
        by_kill=found and trial is not None and trial.kills,
        capped=kills < swept.planned,
        clean=(len(clean.findings), int(clean.struck == 0 or bool(clean.silent)) if trial else 0),
    )


def _clean_kills(url: str, place: int, what: tuple[Within, str], scale: int) -> Tried:
    way, operation = what
    return kill_until_found(url, None, operation, way, kills=min(scale, CLEAN_KILLS), number=place)


def _figures(hunted: Sequence[Hunted], clean: Sequence[Tried]) -> Figures:
    by_kill = [each for each in hunted if each.by_kill]
    return {
        "defects": len(hunted),
        "exhaustive_found": sum(each.swept for each in hunted),
        "random_in_operation_found": sum(each.in_operation for each in hunted),
        "random_in_life_found": sum(each.in_life for each in hunted),
        "found_by_a_kill": len(by_kill),
        "random_in_operation_of_those": sum(each.in_operation for each in by_kill),
        "random_in_life_of_those": sum(each.in_life for each in by_kill),
        "strikes_planned": round(mean(each.strikes for each in hunted), 1),
        "tries_capped": sum(each.capped for each in hunted),
        "kills_in_operation": sum(each.kills[0] for each in hunted),
        "kills_in_life": sum(each.kills[1] for each in hunted),
        "false_alarms": sum(each.clean[0] for each in hunted) + sum(each.alarms for each in clean),
        "clean_not_judged": sum(each.clean[1] for each in hunted) + sum(each.unjudged for each in clean),
    }


def _word(found: bool) -> str:
    return "found" if found else "not found"
