"""One round trip at a proxy: the request as it stands or went, and the answer as it comes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gates.chaos.messages import Channel, Direction, Message

if TYPE_CHECKING:
    from gates.chaos.proxies.standing_message import StandingMessage

# The outcome of a line of a stream: it answers nothing in particular.
LINE = "line"


@dataclass(slots=True, eq=False)
class Exchange:
    """`answers` says whether an answer is due; with `hold_answer` it is kept at the proxy until it is complete.

    `standing` is the fault that waits for the answer.
    """

    fingerprint: str
    label: str
    answers: bool = True
    kind: int = 0
    expects: int = 0
    occurrence: int = 0
    hold_answer: bool = False
    request: bytes | bytearray = b""
    answer: bytearray | None = None
    outcome: str = ""
    standing: "StandingMessage | None" = None

    def noted(
        self, direction: Direction, at_s: float, connection: int
    ) -> tuple[Direction, str, int, str, float, int, str]:
        """One of its two ways as the recording keeps it; `said` makes a message of it."""
        outcome = self.outcome if direction is Direction.ANSWER else ""
        return direction, self.fingerprint, self.occurrence, self.label, at_s, connection, outcome


def said(channel: Channel, direction: Direction, fingerprint: str, occurrence: int, label: str, *rest: Any) -> Message:
    """The boundary message of what was noted."""
    at_s, connection, outcome = rest
    words = f"{channel}: {label}{answer_words(outcome) if direction is Direction.ANSWER else ''}"
    return Message(channel, direction, fingerprint, occurrence, words, at_s, connection, outcome)


def answer_words(outcome: str) -> str:
    """An outcome in words: `acknowledged`, `answered 201`, `refused with 40P01`."""
    if outcome.startswith("ERROR "):
        return f" refused with {outcome[6:11]}"
    if outcome == LINE:
        return ""
    if outcome.isdigit() or outcome.startswith("ROLLBACK"):
        return f" answered {outcome.removesuffix(' I')}"
    return " acknowledged"
