"""Every planted defect really shows, for its own reason, and the clean desk raises nothing in the same places."""

import pytest

from audits.findings import Finding, Level
from gates.detection.catalogue import catalogue
from gates.detection.rehearsing import Outcome, clean_findings, judge_rules

DEFECTS = [defect for defect in catalogue() if defect.by_hand and defect.steps]


@pytest.mark.parametrize("name", [defect.name for defect in DEFECTS])
def test_the_books_give_it_away_for_its_own_reason(by_hand, name):
    result = by_hand[name]
    assert result.outcome == Outcome.CAUGHT, (result.rules, result.reason)


def test_the_clean_desk_raises_nothing_after_the_steps_of_every_defect(grounds):
    assert clean_findings(grounds[0], catalogue()) == ()


def found(*rules):
    return [Finding(rule, Level.CRITICAL, "") for rule in rules]


def test_nothing_found_is_missed_and_another_rule_is_another_reason():
    assert judge_rules(("a", "b"), found()) == Outcome.MISSED
    assert judge_rules(("a", "b"), found("a", "c")) == Outcome.OTHER_REASON
    assert judge_rules(("a", "b"), found("c", "b", "a")) == Outcome.CAUGHT
