"""Kill the target after a message has passed.

After a request: the server has carried it out and answered in full, and the target never reads the answer. Without
waiting for the answer, a kill after COMMIT would be a coin toss. After an answer: the target has been given it.
"""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Direction, Proof, Side, Strike


@dataclass(frozen=True)
class KillAfter:
    """The owner kills, waits for the death, and decides `discard`."""

    strike: ClassVar[Strike] = Strike.KILL_AFTER
    freezes: ClassVar[Side | None] = Side.AFTER

    async def hit(self, moment: Moment) -> Proof:
        answer = await moment.whole_answer()
        if moment.message.direction is Direction.ANSWER:
            moment.deliver()
        return {"answer": answer, **await moment.owner_decides(self.strike)}
