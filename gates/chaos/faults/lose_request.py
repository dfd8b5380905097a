"""Lose a request: the server never sees it, the target's connection is reset."""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.moments import Moment, needs
from gates.chaos.messages import Direction, Proof, Side, Strike


@dataclass(frozen=True)
class LoseRequest:
    """What the server had begun for this connection is rolled back when its side closes."""

    strike: ClassVar[Strike] = Strike.LOSE_REQUEST
    freezes: ClassVar[Side | None] = None

    async def hit(self, moment: Moment) -> Proof:
        needs(Direction.REQUEST, moment.message, self.strike)
        port = moment.drop_client(reset=True)
        return {"reset_port": port, "server_closed": await moment.close_server()}
