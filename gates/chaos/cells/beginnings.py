"""The states that operations start from, and how a target comes to them."""

from gates.chaos.cells.target import Answer, TargetNotReadyError, TargetProcess
from gates.targets.asks import Ask

FLAT, HOLDING = "flat", "holding"
# Flat is not empty: books in which nothing was ever traded prove nothing, and no audit passes them. Of two positions a
# close that is done twice has a second one to close, and a turn over all of them can be half done.
BEGINNINGS = {FLAT: ("open", "close"), HOLDING: ("open", "open")}
NOT_NOW = frozenset({408, 425, 429})  # no answer to the question


async def begin(target: TargetProcess, state: str) -> None:
    """Do what leads to the state. Raises TargetNotReadyError where the target cannot.

    One that holds one position at a time may refuse the second: then one is what it holds.
    """
    asked: list[str] = []
    for operation in BEGINNINGS[state]:
        answer = await target.ask(operation)
        again = operation in asked
        if not answer.success and not (again and is_refusal(target.program.operations[operation], answer)):
            raise TargetNotReadyError(_words(operation, answer, again=again))
        asked.append(operation)


def is_refusal(ask: Ask, answer: Answer) -> bool:
    """Whether the target said a clear no: by a 4xx, or by an exit code, which knows no other."""
    if answer.success or answer.status is None or answer.status in NOT_NOW:
        return False
    return bool(ask.command) or 400 <= answer.status < 500


def _words(operation: str, answer: Answer, *, again: bool) -> str:
    said = f"{'no answer' if answer.status is None else answer.status} {dict(answer.body)}"
    if not again:
        return f"The target could not {operation} to begin with: {said}"
    return (
        f"The target could not {operation} a second time to begin with: {said}. "
        "One that holds one position at a time says so by a 4xx, or by an exit code."
    )
