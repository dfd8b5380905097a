"""Kill the target before a message passes: the message stands at the proxy until the death is confirmed."""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Proof, Side, Strike


@dataclass(frozen=True)
class KillBefore:
    """The owner kills, waits for the death, and decides `discard`: the message never passes."""

    strike: ClassVar[Strike] = Strike.KILL_BEFORE
    freezes: ClassVar[Side | None] = Side.BEFORE

    async def hit(self, moment: Moment) -> Proof:
        return await moment.owner_decides(self.strike)
