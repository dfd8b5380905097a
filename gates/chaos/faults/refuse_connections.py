"""Cut every connection of the channel, and refuse new ones for a while: the first is reset once it stands, so that it
is seen that somebody was refused, and after that the kernel itself answers.
"""

import time
from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.fault import whole
from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Proof, Side, Strike

MAXIMUM_MS = 600_000
WITHIN_MS = 10_000


@dataclass(frozen=True)
class RefuseConnections:
    """`duration_ms`: how long nobody gets in, from the first who asks on. `within_ms`: how long that one is waited for,
    since a target that works by turns asks at its next. Each 1 to 600,000.
    """

    strike: ClassVar[Strike] = Strike.REFUSE_CONNECTIONS
    freezes: ClassVar[Side | None] = None
    duration_ms: int
    within_ms: int = WITHIN_MS

    def __post_init__(self) -> None:
        whole(self.duration_ms, "duration_ms", 1, MAXIMUM_MS)
        whole(self.within_ms, "within_ms", 1, MAXIMUM_MS)

    async def hit(self, moment: Moment) -> Proof:
        began = time.monotonic()
        cut = await moment.refuse_connections(self.duration_ms, self.within_ms)
        return {"refused_ms": round((time.monotonic() - began) * 1000, 1), "connections_cut": cut}
