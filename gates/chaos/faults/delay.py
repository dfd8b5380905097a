"""Delay one message: it comes late, also when the target has hung up meanwhile, as on a slow network."""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.fault import whole, whole_time
from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Proof, Side, Strike

MAXIMUM_DELAY_MS = 600_000


@dataclass(frozen=True)
class Delay:
    """`delay_ms`: how much later the message passes, 1 to 600,000. The proof says whether the target had hung up."""

    strike: ClassVar[Strike] = Strike.DELAY
    freezes: ClassVar[Side | None] = None
    delay_ms: int

    def __post_init__(self) -> None:
        whole(self.delay_ms, "delay_ms", 1, MAXIMUM_DELAY_MS)

    async def hit(self, moment: Moment) -> Proof:
        delay_ms = await whole_time(self.delay_ms)
        hung_up = await moment.hung_up(0)
        moment.deliver()
        return {"delay_ms": delay_ms, "target_hung_up": hung_up}
