"""Rehearsing defects on servers of our own: several at once, then the clean desk in the same places."""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from subprocess import Popen
from typing import Protocol

from gates.chaos.trials import Trial
from gates.detection.catalogue import Planted
from gates.detection.clean import strike_clean
from gates.detection.ground import Ground
from gates.detection.judgement import Judged
from gates.detection.rehearsing import Rehearsed, rehearse_by_hand, rehearse_clean
from gates.detection.striking import strike_until_caught
from gates.detection.sweeping import sweep
from gates.targets.processes import ProcessSpec
from wartest_site.embedded.children import free_port, start_child
from wartest_site.embedded.postgres import PostgresServer, running_postgres
from wartest_site.environment import BASE_DIR

CHAOS = 2
CLEAN = "the clean desk"
NEVER_STRUCK = "any strike: none was made on it"


class Teller(Protocol):
    """Who is told how far it is. Called from several threads."""

    def doing(self, name: str, words: str) -> None:
        """`name` is at it, and what it does, in words."""

    def over(self, name: str) -> None:
        """`name` is over."""


@dataclass(frozen=True)
class Place:
    """Where one rehearsal at a time takes place: a number among those that run at once, and a ground where desks are
    provoked by hand; None where all are struck.
    """

    number: int
    ground: Ground | None


def rehearse(
    server: PostgresServer, places: Sequence[Place], defects: Iterable[Planted], teller: Teller
) -> Iterator[Rehearsed]:
    """Rehearse them, those that are struck first, as they take longest; each as it is done."""

    def one(place: Place, defect: Planted) -> Rehearsed:
        say = partial(teller.doing, defect.name)
        say("starting")
        try:
            if defect.gate == CHAOS:
                return strike_until_caught(server.url(), defect, number=place.number, say=say)
            say("provoked by hand")
            assert place.ground is not None  # noqa: S101  made where a defect needs it
            return rehearse_by_hand(place.ground, defect)
        finally:
            teller.over(defect.name)

    yield from sweep(places, sorted(defects, key=lambda defect: defect.gate != CHAOS), one)


def judge_clean(
    server: PostgresServer, places: Sequence[Place], results: Sequence[Rehearsed], teller: Teller
) -> Judged:
    """The clean desk in the places of these results: what is found there, and at how many strikes.

    Where defects were struck and it never was, nothing is known of it.
    """
    by_hand = [result.defect for result in results if result.defect.gate != CHAOS]
    trials: defaultdict[str, list[Trial]] = defaultdict(list)
    for result in results:
        if result.shown_by and result.shown_by.trial not in trials[result.shown_by.trial.operation]:
            trials[result.shown_by.trial.operation].append(result.shown_by.trial)

    def one(place: Place, what: list[Trial] | Planted) -> Judged:
        name = f"{CLEAN}, {what.name if isinstance(what, Planted) else what[0].operation}"
        say = partial(teller.doing, name)
        say("starting")
        try:
            if not isinstance(what, Planted):
                return strike_clean(server.url(), what, number=place.number, say=say)
            assert place.ground is not None  # noqa: S101  made where a defect needs it
            return rehearse_clean(place.ground, [what])
        finally:
            teller.over(name)

    work: list[list[Trial] | Planted] = [*trials.values(), *by_hand]
    seen = reduce(Judged.and_also, sweep(places, work, one), Judged())
    if seen.struck == 0 and len(by_hand) < len(results):
        seen = seen.and_also(Judged((), (NEVER_STRUCK,)))
    return seen


@contextmanager
def own_server() -> Iterator[PostgresServer]:
    """A server of the rehearsal's own, gone with it."""
    with (
        tempfile.TemporaryDirectory(prefix="wartest-defects-") as home,
        running_postgres(Path(home), durable=False) as server,
    ):
        yield server


@contextmanager
def own_places(server: PostgresServer, count: int, *, grounds: bool) -> Iterator[list[Place]]:
    """So many places, with grounds where desks are provoked by hand."""
    with tempfile.TemporaryDirectory(prefix="wartest-grounds-") as home, ExitStack() as stack:
        places = []
        for number in range(1, count + 1):
            folder = Path(home) / f"ground-{number}"
            folder.mkdir()
            ground = Ground(folder, start, server.create_database, free_port) if grounds else None
            places.append(Place(number, stack.enter_context(ground.running()) if ground else None))
        yield places


def start(spec: ProcessSpec, log_file: Path) -> "Popen[bytes]":
    """Start a process that dies with us, its output added to a file."""
    with log_file.open("ab") as log:
        return start_child(spec, log=log, cwd=BASE_DIR)
