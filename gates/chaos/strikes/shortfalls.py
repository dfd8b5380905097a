"""What a recovery fell short in, as findings, each rule for one reason. Pure."""

from collections.abc import Iterable, Iterator

from audits.findings import Finding, Level
from gates.chaos.cells.target import TargetEndedError, TargetNotReadyError
from gates.chaos.messages import Message, Receipt, Strike
from gates.chaos.strikes.receipts import has_deviated, waited_for_ever
from gates.chaos.strikes.settling import RECOVERY_LIMIT_S

IN_TIME = f"recovered within {RECOVERY_LIMIT_S:.0f} s"
DEVIATED = "the experiment's own steady state has deviated: see its journal in the receipt"
END_A_CONNECTION = frozenset(
    {Strike.LOSE_REQUEST, Strike.LOSE_ANSWER, Strike.RESET, Strike.CLEAN_CLOSE, Strike.TERMINATE_BACKEND}
)
WAITED = "the target waited for an answer that never came until its connection was reset"

# What the broker has dealt and how it was asked stays so, whatever is booked later.
FOR_GOOD = frozenset(
    {"intent executed twice", "exposure", "dealt more than asked for", "expectation", "waited for ever"}
)


def critical(rule: str, expected: str, measured: str) -> Finding:
    """A finding that says what was expected and what came instead."""
    sentence = f"{rule.capitalize()}: {expected} was expected; {measured}."
    return Finding(rule, Level.CRITICAL, sentence, expected, measured)


def may_come_right(findings: Iterable[Finding]) -> bool:
    """Whether a target that goes on by itself may still mend all that was found."""
    return FOR_GOOD.isdisjoint(found.rule for found in findings)


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


def not_replaced(receipt: Receipt | None, messages: Iterable[Message]) -> Iterator[Finding]:
    """What the wire says of a target that never recovered from the end of a connection: it opened no other.

    `messages` are all since the reset. Nothing is said of one that had gone quiet by the middle of its time: a target
    that hangs, or a machine that does, opens none either.
    """
    if receipt is None or receipt.message is None or receipt.strike not in END_A_CONNECTION:
        return
    known = list(messages)
    later = [message for message in known if message.at_s > receipt.at_s]
    on_channel = [message for message in known if message.channel == receipt.message.channel]
    before = max(message.connection for message in (receipt.message, *on_channel) if message.at_s <= receipt.at_s)
    is_at_work = any(message.at_s > receipt.at_s + RECOVERY_LIMIT_S / 2 for message in later)
    if is_at_work and not any(message.connection > before for message in on_channel):
        yield critical(
            "connection not replaced",
            f"another connection to the {receipt.message.channel} after the one that was ended",
            f"none was opened within {RECOVERY_LIMIT_S:.0f} s, though the target went on working",
        )
