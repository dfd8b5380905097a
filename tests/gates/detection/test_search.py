"""Where a search begins, and that it leaves nothing out; what it may call missed."""

import re
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.verdicts import Verdict
from gates.chaos.baseline import CrashPoint
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.scenarios import SCENARIOS
from gates.chaos.strikes.recovery import Result
from gates.chaos.trials import Trial
from gates.detection import striking
from gates.detection.catalogue import catalogue
from gates.detection.rehearsing import Outcome
from gates.detection.striking import scenarios_of, soonest_first, strike_until_caught, words_of

STRUCK = [defect for defect in catalogue() if defect.gate == 2]
LABELS = ("ledger: COMMIT", "ledger: COMMIT acknowledged", "broker: POST orders answered 201")
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from([Strike.KILL_BEFORE, Strike.LOSE_ANSWER])))


def trials(drawn):
    """A trial for each, told apart by its occurrence."""
    return [
        (label, Trial("open", Point(Channel.LEDGER, Direction.ANSWER, label, number), strike))
        for number, (label, strike) in enumerate(drawn, start=1)
    ]


@given(PAIRS)
def test_what_shows_soonest_comes_first_and_every_other_strike_after_it_in_the_order_of_the_messages(drawn):
    pairs = trials(drawn)
    ordered = soonest_first(pairs, ("lose the answer at ledger: COMMIT",))
    begun = [trial.strike == Strike.LOSE_ANSWER and label.startswith("ledger") for label, trial in ordered]
    assert begun == sorted(begun, reverse=True)
    assert [pair for pair in pairs if pair in ordered] == pairs
    for part in (True, False):
        numbers = [trial.point.occurrence for (_, trial), first in zip(ordered, begun, strict=True) if first is part]
        assert numbers == sorted(numbers)


@given(PAIRS)
def test_without_a_beginning_the_order_is_that_of_the_messages(drawn):
    assert soonest_first(trials(drawn), ()) == trials(drawn)


def recorded():
    """The messages of each operation that clean runs of the bundled desk shared, as `record_clean` gave them."""
    found = {}
    for line in (Path(__file__).parent / "clean_messages.txt").read_text().splitlines():
        if line.startswith("["):
            found[line.strip("[]")] = points = []
            continue
        label, _, occurrence = line.rpartition(" #")
        channel, _, words = label.partition(": ")
        fingerprint, is_answer, _ = re.fullmatch(r"(.*?)( (acknowledged|answered \d+))?", words).groups()
        direction = Direction.ANSWER if is_answer else Direction.REQUEST
        point = Point(Channel(channel), direction, fingerprint, int(occurrence))
        points.append(CrashPoint(point, label, len(points)))
    return found


CLEAN = recorded()


@pytest.mark.parametrize("defect", STRUCK, ids=lambda defect: defect.name)
def test_a_search_begins_with_a_strike_that_its_scenarios_make_at_a_message_of_the_clean_desk(defect):
    made = [
        words_of(place.label, trial)
        for scenario in scenarios_of(defect)
        for operation in defect.operations or scenario.operations
        for place, trial in scenario.trials(operation, CLEAN[operation])
    ]
    assert made
    assert len(defect.begin_at) <= defect.depth
    for words in defect.begin_at[:1]:
        assert any(each.startswith(words) for each in made)
    for words in defect.begin_at[1:]:
        assert words.startswith(("kill before", "kill after"))


def test_the_scenarios_of_every_defect_are_among_the_twelve():
    names = {scenario.name for scenario in SCENARIOS}
    assert {name for defect in STRUCK for name in defect.scenarios} <= names


MADE = Result(Verdict.PASSED, receipt={})
NOT_MADE = Result(reason="The moment did not come.")
NOT_OF_THIS_TARGET = Result(applies=False)


@pytest.mark.parametrize(
    ("shown", "outcome"),
    [
        ((MADE, MADE), Outcome.MISSED),
        ((MADE, NOT_OF_THIS_TARGET), Outcome.MISSED),
        ((MADE, NOT_MADE), Outcome.NOT_SHOWN),
        ((NOT_OF_THIS_TARGET, NOT_OF_THIS_TARGET), Outcome.NOT_SHOWN),
    ],
)
def test_a_defect_is_missed_only_when_every_strike_that_applies_was_made(monkeypatch, shown, outcome):
    waiting = list(shown)

    @asynccontextmanager
    async def desk_cell(*_, **__):
        yield None

    async def each_trial(*_):
        for label, trial in trials([(LABELS[0], Strike.LOSE_ANSWER)] * len(shown)):
            yield SCENARIOS[0], None, label, trial

    async def try_patiently(*_):
        return waiting.pop(0)

    for name, stub in (("desk_cell", desk_cell), ("_trials", each_trial), ("try_patiently", try_patiently)):
        monkeypatch.setattr(striking, name, stub)
    result = strike_until_caught("", STRUCK[0])
    assert (result.outcome, waiting) == (outcome, [])
    assert ("The moment did not come." in result.reason) == (NOT_MADE in shown)
