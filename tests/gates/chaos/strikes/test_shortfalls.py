"""What a recovery fell short in has a rule of its own for each reason, and each counts as a failed recovery."""

import pytest

from gates.chaos.cells.target import TargetEndedError, TargetNotReadyError
from gates.chaos.criteria import RECOVERY_RULES
from gates.chaos.messages import Receipt, Strike
from gates.chaos.strikes.shortfalls import not_recovered, shown_by_receipt
from gates.detection.catalogue import catalogue
from gates.detection.rehearsing import Outcome, judge_rules

STALLED = Receipt(Strike.STALL, None, 0.0, {"stall_ms": 60_000, "target_hung_up": False})
DEVIATED = Receipt(Strike.EXPERIMENT, None, 0.0, {"deviated": True})
DIED = not_recovered(TargetEndedError("The target has ended: KeyError: 'EUR_USD'"))
LATE = not_recovered(TargetNotReadyError("The target was not settled in time: 1 orders in doubt"))


def test_a_death_a_late_recovery_and_an_endless_wait_are_three_rules_of_recovery():
    (waited,) = shown_by_receipt(STALLED)
    assert [found.rule for found in (DIED, LATE, waited)] == ["target ended", "recovery", "waited for ever"]
    assert {DIED.rule, LATE.rule, waited.rule} <= RECOVERY_RULES
    assert "KeyError: 'EUR_USD'" in DIED.sentence


def test_an_experiment_that_deviated_has_missed_its_expectation():
    assert [found.rule for found in shown_by_receipt(DEVIATED)] == ["expectation"]


def test_a_receipt_that_holds_nothing_against_the_target_finds_nothing():
    healthy = (None, Receipt(Strike.RESET, None, 0.0, {}), Receipt(Strike.EXPERIMENT, None, 0.0, {"deviated": False}))
    assert [found for receipt in healthy for found in shown_by_receipt(receipt)] == []


@pytest.mark.parametrize("name", ["no-timeout", "dead-connection-kept"])
def test_a_desk_that_dies_of_the_strike_is_not_caught_for_the_reason_of_one_that_waits(name):
    (defect,) = (each for each in catalogue() if each.name == name)
    assert judge_rules(defect.rules, [DIED]) == Outcome.OTHER_REASON
