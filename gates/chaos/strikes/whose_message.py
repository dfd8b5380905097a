"""Whose message was struck, where the operation sent all of its own besides that one: pure.

Either the target sent it again, or the one struck was the background's and only like it. A message is held before such
a strike, and told to be one that the operation waited for by two things that are seen:

1. While it was held, the operation stood still, for longer than it ever pauses. A background's would not stop it.
2. Behind it the operation went back to one of its messages up to that one and from there on to its end, and nothing
   else of its kinds passed: no other part of a turn of the background. It may have gone several times over parts of its
   way, where the ledger refused the last request of each, as it does while a lock still stands.
"""

from typing import Any

from gates.chaos.baseline import OPENINGS, Kind, Recording, Script, kind_of
from gates.chaos.messages import KILLS, Direction, Message, Proof, Strike

HOLD_MS, LONGEST_HOLD_MS = 1_000, 2_500
PART_OF_TIMEOUT = 0.6  # of what the target waits for an answer: who gives up meanwhile is not struck
HELD_BY_THEMSELVES = frozenset({*KILLS, Strike.DELAY, Strike.STALL})
REFUSED = "ERROR"  # how the outcome of an answer of PostgreSQL begins
HELD = ("held_ms", "delay_ms", "stall_ms")
UNTOLD = "The message struck is not told from one of the background's: the operation sent all of its own besides it."


def hold_ms(strike: Strike, script: Script, timeout_ms: int) -> int:
    """How long a message stands before it is struck, so that the operation is seen to wait for it and does not give up,
    as it does after `timeout_ms`.
    """
    return 0 if strike in HELD_BY_THEMSELVES else _still_ms(script, timeout_ms)


def is_waited_for(
    recording: Recording, struck: Message, proof: Proof, script: Script, *, answered_s: float, timeout_ms: int
) -> bool:
    """Whether the operation is seen to have waited for the message struck, until it answered at `answered_s`."""
    still_s = _still_ms(script, timeout_ms) / 1000
    if _held_s(proof) < still_s or still_s <= script.pause_s:
        return False
    order = script.without_openings
    came = [kind for kind in recording.until(struck) if kind not in script.aside | OPENINGS]
    behind = [each for each in recording.behind(struck) if kind_of(each) in order and not _answers(each, struck)]
    if any(each.at_s < struck.at_s + still_s for each in behind):
        return False
    *refused, last = _parts(behind)
    reached = len(came) + (kind_of(struck) in OPENINGS)
    for part in refused:
        reached = _end(part, order, max(reached, len(came) + 2))  # its own answer was left out
        if not reached:
            return False
    for back in range(reached):
        again, later = last[: len(order) - back], last[len(order) - back :]
        if tuple(map(kind_of, again)) == order[back:] and all(each.at_s > answered_s for each in later):
            return True
    return False


def _end(part: list[Message], order: tuple[Kind, ...], most: int) -> int:
    """Where a part of the operation's way ends at the latest that begins with a request before `most`; 0 if none."""
    kinds, asks = tuple(map(kind_of, part)), part[0].direction is Direction.REQUEST
    ends = [begin + len(kinds) for begin in range(most) if order[begin : begin + len(kinds)] == kinds]
    return max(ends, default=0) if asks else 0


def _parts(behind: list[Message]) -> list[list[Message]]:
    """What passed, cut behind each answer by which the ledger refused something."""
    parts: list[list[Message]] = [[]]
    for each in behind:
        parts[-1].append(each)
        if each.direction is Direction.ANSWER and each.outcome.startswith(REFUSED):
            parts.append([])
    return parts


def _answers(message: Message, struck: Message) -> bool:
    """Whether it is the answer to the request struck, as a refusal is: with that it is what came too much."""
    exchange = (message.channel, message.fingerprint, message.occurrence)
    return message.direction is Direction.ANSWER and exchange == (struck.channel, struck.fingerprint, struck.occurrence)


def _still_ms(script: Script, timeout_ms: int) -> int:
    """How long an operation that waits stands still at least; one that waits no longer may ask again."""
    longest_ms = min(LONGEST_HOLD_MS, int(PART_OF_TIMEOUT * timeout_ms))
    return min(longest_ms, max(HOLD_MS, round(2_000 * script.pause_s)))


def _held_s(proof: Proof) -> float:
    found: list[Any] = [proof[name] for name in HELD if name in proof]
    return max(map(float, found), default=0.0) / 1000
