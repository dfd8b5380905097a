"""The table of who finds what, as many tries for luck as strikes for the sweep, and the figures that say so."""

from types import SimpleNamespace

import pytest

from audits.findings import Finding, Level
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.trials import Trial
from gates.detection.judgement import Judged
from gates.detection.luck import Tried
from gates.detection.rehearsing import Outcome
from wartest_site.benchmarks import detection
from wartest_site.benchmarks.detection import SCALE, Hunted, table


def hunted(name, *, swept, in_operation, in_life):
    found = {"swept": swept, "in_operation": in_operation, "in_life": in_life}
    apart = {"by_kill": in_operation, "capped": not swept, "clean": (0, 0)}
    return Hunted(name=name, operation="open", strikes=40, kills=(1, 1), **apart, **found)


def test_each_defect_has_a_line_that_says_which_way_found_it():
    heads, *lines = table(
        [
            hunted("timeout_is_reject", swept=True, in_operation=False, in_life=False),
            hunted("blind_retry", swept=True, in_operation=True, in_life=False),
        ]
    )
    names = ["every message", "one kill in the operation", "one kill in the process's life"]
    ways = [[line[heads.index(way) :].split("  ")[0] for way in names] for line in lines]
    assert [line.split()[0] for line in lines] == ["blind_retry", "timeout_is_reject"]
    assert ways == [["found", "found", "not found"], ["found", "not found", "not found"]]


DEFECT = SimpleNamespace(name="sand", operations=(), scenarios=())
POINT = Point(Channel.LEDGER, Direction.ANSWER, "COMMIT", 1)
FOUND = Finding("exposure", Level.CRITICAL, "Twice as much is held.")


@pytest.fixture
def hunt(monkeypatch):
    """Hunt one defect that a sweep of 193 strikes finds by this strike: what came of it, and the tries of luck."""
    asked = []

    def kill_until_found(_url, defect, operation, way, *, kills, number):
        asked.append(kills)
        return Tried(kills, 0, found=False)

    def one(strike, scale, clean):
        shown = SimpleNamespace(trial=Trial("open", POINT, strike))
        swept = SimpleNamespace(shown_by=shown, planned=193, strikes=1, outcome=Outcome.CAUGHT)
        monkeypatch.setattr(detection, "strike_until_caught", lambda *_, **__: swept)
        monkeypatch.setattr(detection, "kill_until_found", kill_until_found)
        monkeypatch.setattr(detection, "strike_clean", lambda *_, **__: clean)
        return detection._hunt("", 1, DEFECT, (scale, lambda _words: None)), asked

    return one


@pytest.mark.parametrize(("scale", "tries", "capped"), [(SCALE, 193, False), (193, 193, False), (20, 20, True)])
def test_luck_has_as_many_tries_as_strikes_are_planned_unless_it_is_capped(hunt, scale, tries, capped):
    hunted, asked = hunt(Strike.KILL_AFTER, scale, Judged(struck=1))
    assert asked == [tries, tries]
    assert (hunted.strikes, hunted.capped, hunted.kills) == (193, capped, (tries, tries))


@pytest.mark.parametrize(
    ("strike", "clean", "seen"),
    [
        (Strike.KILL_AFTER, Judged(struck=1), (True, (0, 0))),
        (Strike.LOSE_ANSWER, Judged((FOUND,), struck=1), (False, (1, 0))),
        (Strike.LOSE_ANSWER, Judged(), (False, (0, 1))),
        (Strike.LOSE_ANSWER, Judged((), ("it did not start",), struck=1), (False, (0, 1))),
    ],
)
def test_what_the_sweep_struck_by_and_what_the_clean_desk_left_open_is_kept(hunt, strike, clean, seen):
    hunted, _ = hunt(strike, SCALE, clean)
    assert (hunted.by_kill, hunted.clean) == seen


def test_the_figures_say_what_was_capped_found_by_kills_and_not_judged():
    found = {"name": "sand", "operation": "open", "swept": True, "strikes": 40, "kills": (3, 40)}
    by_kill = Hunted(**found, in_operation=True, in_life=False, by_kill=True, capped=False, clean=(0, 1))
    by_loss = Hunted(**found, in_operation=True, in_life=True, by_kill=False, capped=True, clean=(1, 0))
    figures = detection._figures([by_kill, by_loss], [Tried(20, 2, found=False, unjudged=3)])
    assert (figures["exhaustive_found"], figures["random_in_operation_found"], figures["random_in_life_found"]) == (
        2,
        2,
        1,
    )
    of_those = ("found_by_a_kill", "random_in_operation_of_those", "random_in_life_of_those", "tries_capped")
    assert [figures[name] for name in of_those] == [1, 1, 0, 1]
    assert (figures["false_alarms"], figures["clean_not_judged"]) == (3, 4)
