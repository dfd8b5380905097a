"""What a recovery fell short in, as findings, each rule for one reason. Pure."""

from collections.abc import Iterator

from audits.findings import Finding, Level
from gates.chaos.cells.target import TargetEndedError, TargetNotReadyError
from gates.chaos.messages import Receipt
from gates.chaos.strikes.receipts import has_deviated, waited_for_ever
from gates.chaos.strikes.settling import RECOVERY_LIMIT_S

IN_TIME = f"recovered within {RECOVERY_LIMIT_S:.0f} s"
DEVIATED = "the experiment's own steady state has deviated: see its journal in the receipt"
WAITED = "the target waited for an answer that never came until its connection was reset"


def critical(rule: str, expected: str, measured: str) -> Finding:
    """A finding that says what was expected and what came instead."""
    sentence = f"{rule.capitalize()}: {expected} was expected; {measured}."
    return Finding(rule, Level.CRITICAL, sentence, expected, measured)


def not_recovered(error: TargetNotReadyError, expected: str = IN_TIME) -> Finding:
    """A recovery that never came: a target that died of it is another finding than one that is not well in time."""
    rule = "target ended" if isinstance(error, TargetEndedError) else "recovery"
    return critical(rule, expected, str(error))


def shown_by_receipt(receipt: Receipt | None) -> Iterator[Finding]:
    """What the strike's own proof holds against the target, however well it is by now."""
    if has_deviated(receipt):
        yield critical("expectation", "the experiment's steady state after its method", DEVIATED)
    if waited_for_ever(receipt):
        yield critical("waited for ever", IN_TIME, WAITED)
