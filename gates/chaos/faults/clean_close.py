"""Close the target's connection cleanly (FIN) just before a message would pass."""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Proof, Side, Strike


@dataclass(frozen=True)
class CleanClose:
    """The message is lost, whichever way it went; the target sees the end of the stream."""

    strike: ClassVar[Strike] = Strike.CLEAN_CLOSE
    freezes: ClassVar[Side | None] = None

    async def hit(self, moment: Moment) -> Proof:
        port = moment.drop_client(reset=False)
        return {"closed_port": port, "server_closed": await moment.close_server()}
