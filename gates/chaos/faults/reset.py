"""Reset the target's connection (RST) just before a message would pass."""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Proof, Side, Strike


@dataclass(frozen=True)
class Reset:
    """The message is lost, whichever way it went."""

    strike: ClassVar[Strike] = Strike.RESET
    freezes: ClassVar[Side | None] = None

    async def hit(self, moment: Moment) -> Proof:
        port = moment.drop_client(reset=True)
        return {"reset_port": port, "server_closed": await moment.close_server()}
