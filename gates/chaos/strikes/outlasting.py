"""Whether a target was seen to reach a timeout of its own while it was kept waiting: pure.

A delay, a stall or a lock that is called longer than a timeout proves nothing of one where the target only waited. It
has given up where, before what stood was let go, its request was refused for that, it hung up, it asked the ledger to
cancel, or it said itself that the operation is not done.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gates.chaos.baseline import Recording
from gates.chaos.cells.target import Answer
from gates.chaos.messages import Direction, Message, Receipt, Strike

KEEPS_WAITING = (Strike.DELAY, Strike.STALL, Strike.LOCK_HELD)
# The strikes of a scenario that must outlast a timeout, and the key of [chaos.timeouts] that they are made around. A
# connection that is silent for as long as a recovery may take is a finding by itself, where the target never hangs up.
BEYOND: dict[str, dict[Strike, str]] = {
    "slow_network_responses": {Strike.DELAY: "broker_ms"},
    "slow_database_queries": {Strike.DELAY: "ledger_ms", Strike.LOCK_HELD: "lock_ms"},
}
LASTED = ("held_ms", "delay_ms", "stall_ms", "lock_ms")
TIMED_OUT = ("ERROR 55P03", "ERROR 57014")  # lock_not_available, query_canceled: lock_timeout, statement_timeout
MADE_AT = {
    Strike.DELAY: "It is made at every message: let the target speak to the addresses that it is given.",
    Strike.LOCK_HELD: "It is made where a statement is seen to write: INSERT, UPDATE, DELETE, CALL or a function.",
}
SQLSTATE_ENDS = len("ERROR 55P03")  # behind it an outcome says how the transaction stands
CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class Waited:
    """A strike of a scenario that kept the target waiting, and how it gave up; empty where it was not seen to."""

    strike: str
    fault: str
    length_ms: int
    gave_up: str


def gave_up(receipt: Receipt, recording: Recording, answer: Answer, *, answered_s: float) -> str:
    """How the target gave up what it was kept waiting for, in words; empty where it was not seen to.

    `answered_s` is when the operation answered, by the machine's monotonic clock. The moment at which the message was
    let go is taken a little early, so that nothing is called a timeout that was an answer to it.
    """
    struck = receipt.message
    if receipt.strike not in KEEPS_WAITING or struck is None:
        return ""
    let_go_s = struck.at_s + sum(float(receipt.proof.get(name, 0)) for name in LASTED) / 1000
    meanwhile = [each for each in recording.messages if struck.at_s <= each.at_s < let_go_s]
    if receipt.strike is Strike.LOCK_HELD and (own := [each for each in meanwhile if _answers(each, struck)]):
        return f"its request was refused: {own[0].outcome[:SQLSTATE_ENDS]}" if _is_refusal(own[0].outcome) else ""
    if receipt.proof.get("target_hung_up"):
        return "it hung up"
    if any(each.fingerprint == CANCEL and each.direction is Direction.REQUEST for each in meanwhile):
        return "it asked the ledger to cancel"
    if answer.status is not None and not answer.success and answered_s < let_go_s:
        return f"it answered {answer.status} meanwhile"
    return ""


def never_outlasted(scenario: str, waits: Iterable[Waited]) -> str:
    """Which strikes of a scenario are called longer than a timeout and none of them was made, or none seen to outlast
    one, in words; empty where every kind was, or nothing was struck.
    """
    listed = list(waits)
    for strike, key in BEYOND.get(scenario, {}).items():
        of_kind = [each for each in listed if each.strike == strike]
        if listed and not of_kind:
            return (
                f"The strike {strike.value!r} was made at no message: nothing shows what the target does then. "
                f"{MADE_AT[strike]}"
            )
        longest_ms = max((each.length_ms for each in of_kind), default=0)
        longest = [each for each in of_kind if each.length_ms == longest_ms]
        if longest and not any(each.gave_up for each in longest):
            return (
                f"No {longest[0].fault} outlasted a timeout of the target: say its {key} in [chaos.timeouts], "
                "or give it a timeout there where it has none."
            )
    return ""


def length_ms(parameters: Mapping[str, Any]) -> int:
    """How long a strike of these parameters keeps the target waiting."""
    return sum(int(value) for name, value in parameters.items() if name in LASTED)


def _answers(message: Message, struck: Message) -> bool:
    """Whether it is the answer to the request struck."""
    exchange = (message.channel, message.fingerprint, message.occurrence)
    return message.direction is Direction.ANSWER and exchange == (struck.channel, struck.fingerprint, struck.occurrence)


def _is_refusal(outcome: str) -> bool:
    """Whether it says that the request waited too long; over HTTP, that it failed."""
    return outcome.startswith(TIMED_OUT) or (outcome.isdigit() and outcome >= "4")
