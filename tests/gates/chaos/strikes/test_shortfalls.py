"""What a recovery fell short in has a rule of its own for each reason, and each counts as a failed recovery."""

import pytest

from gates.chaos.cells.target import TargetEndedError, TargetNotReadyError
from gates.chaos.criteria import RECOVERY_RULES
from gates.chaos.messages import Channel, Direction, Message, Receipt, Strike
from gates.chaos.strikes.shortfalls import not_recovered, not_replaced, shown_by_receipt
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


def message(at_s, connection, channel=Channel.LEDGER):
    return Message(channel, Direction.REQUEST, "BEGIN", 1, f"{channel}: BEGIN", at_s, connection)


BEFORE = [message(1, 1), message(2, 2), message(2.5, 9, Channel.BROKER)]
CUT = Receipt(Strike.LOSE_REQUEST, BEFORE[0], 3.0)
AT_WORK = [message(59, 2), message(60, 10, Channel.BROKER)]


def test_a_target_that_goes_on_without_the_connection_it_lost_never_replaced_it():
    (found,) = not_replaced(CUT, BEFORE + AT_WORK)
    assert (found.rule, found.rule in RECOVERY_RULES) == ("connection not replaced", True)
    assert "another connection to the ledger" in found.sentence


@pytest.mark.parametrize(
    ("receipt", "later"),
    [
        (CUT, [message(4, 3), *AT_WORK]),
        (CUT, [message(4, 2)]),
        (CUT, []),
        (Receipt(Strike.KILL_BEFORE, BEFORE[0], 3.0), AT_WORK),
        (Receipt(Strike.REFUSE_CONNECTIONS, None, 3.0), AT_WORK),
        (None, AT_WORK),
    ],
    ids=["replaced", "soon quiet", "quiet", "killed", "refused", "no receipt"],
)
def test_a_target_is_not_said_to_replace_nothing_where_it_did_or_where_nothing_shows_it(receipt, later):
    assert list(not_replaced(receipt, BEFORE + later)) == []


@pytest.mark.parametrize("seen", [DIED, LATE], ids=["dies", "is late"])
@pytest.mark.parametrize("name", ["no-timeout", "dead-connection-kept"])
def test_a_desk_that_fails_to_recover_otherwise_is_not_caught_for_the_reason_of_one_that_waits_or_keeps(name, seen):
    (defect,) = (each for each in catalogue() if each.name == name)
    assert judge_rules(defect.rules, [seen]) == Outcome.OTHER_REASON
