"""Lose an answer: the server has carried the request out and said so, the target is never told."""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Proof, Side, Strike


@dataclass(frozen=True)
class LoseAnswer:
    """The answer is complete at the proxy before the target's connection is reset."""

    strike: ClassVar[Strike] = Strike.LOSE_ANSWER
    freezes: ClassVar[Side | None] = None

    async def hit(self, moment: Moment) -> Proof:
        answer = await moment.whole_answer()
        port = moment.drop_client(reset=True)
        return {"answer": answer, "reset_port": port, "server_closed": await moment.close_server()}
