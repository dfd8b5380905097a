"""Whose message was struck, where the operation sent all of its own besides that one: pure.

Either the target sent it again, or the one struck was the background's and only like it. A message is held before such
a strike, and told to be one that the operation waited for by two things that are seen:

1. While it was held, the operation stood still, for longer than it ever pauses. A background's would not stop it.
2. Behind it the operation went back to one of its messages up to that one and from there on to its end, and nothing
   else of its kinds passed: no other part of a turn of the background. It may have come as far as that message several
   times, where the ledger refused it each time, as it does while a lock still stands.
"""

from typing import Any

from gates.chaos.baseline import OPENINGS, Kind, Recording, Script, kind_of
from gates.chaos.messages import KILLS, Direction, Message, Proof, Strike

HOLD_MS, LONGEST_HOLD_MS = 1_000, 2_500  # below what a client waits for an answer
HELD_BY_THEMSELVES = frozenset({*KILLS, Strike.DELAY, Strike.STALL})
REFUSED = "ERROR"  # how the outcome of an answer of PostgreSQL begins
HELD = ("held_ms", "delay_ms", "stall_ms")
UNTOLD = "The message struck is not told from one of the background's: the operation sent all of its own besides it."


def hold_ms(strike: Strike, script: Script) -> int:
    """How long a message stands before it is struck, so that the operation is seen to wait for it."""
    return 0 if strike in HELD_BY_THEMSELVES else _still_ms(script)


def is_waited_for(recording: Recording, struck: Message, proof: Proof, script: Script, *, answered_s: float) -> bool:
    """Whether the operation is seen to have waited for the message struck, until it answered at `answered_s`."""
    still_s = _still_ms(script) / 1000
    if _held_s(proof) < still_s or still_s <= script.pause_s:
        return False
    order = script.without_openings
    came = [kind for kind in recording.until(struck) if kind not in script.aside | OPENINGS]
    behind = [each for each in recording.behind(struck) if kind_of(each) in order and not _answers(each, struck)]
    if any(each.at_s < struck.at_s + still_s for each in behind):
        return False
    for back in range(len(came) + (kind_of(struck) in OPENINGS)):
        rest = order[back:]
        going_on = _behind_refusals(behind, rest[: len(came) - back], struck)
        again, later = going_on[: len(rest)], going_on[len(rest) :]
        if tuple(map(kind_of, again)) == rest and all(each.at_s > answered_s for each in later):
            return True
    return False


def _behind_refusals(behind: list[Message], attempt: tuple[Kind, ...], struck: Message) -> list[Message]:
    """What is left behind each attempt that came as far as a request like the one struck and was refused there."""
    if attempt[-1:] != (kind_of(struck),):
        return behind
    size = len(attempt)
    while len(behind) > size and tuple(map(kind_of, behind[:size])) == attempt:
        request, answer = behind[size - 1], behind[size]
        if not _answers(answer, request) or not answer.outcome.startswith(REFUSED):
            break
        behind = behind[size + 1 :]
    return behind


def _answers(message: Message, struck: Message) -> bool:
    """Whether it is the answer to the request struck, as a refusal is: with that it is what came too much."""
    exchange = (message.channel, message.fingerprint, message.occurrence)
    return message.direction is Direction.ANSWER and exchange == (struck.channel, struck.fingerprint, struck.occurrence)


def _still_ms(script: Script) -> int:
    """How long an operation that waits stands still at least; one that waits no longer may ask again."""
    return min(LONGEST_HOLD_MS, max(HOLD_MS, round(2_000 * script.pause_s)))


def _held_s(proof: Proof) -> float:
    found: list[Any] = [proof[name] for name in HELD if name in proof]
    return max(map(float, found), default=0.0) / 1000
