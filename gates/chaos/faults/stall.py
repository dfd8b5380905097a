"""Stall a connection: nothing passes either way until the target hangs up or the time is over; then it is reset."""

import time
from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.fault import whole
from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Proof, Side, Strike

MAXIMUM_STALL_MS = 600_000


@dataclass(frozen=True)
class Stall:
    """`stall_ms`: how long the connection is a black hole at most, 1 to 600,000. What stood in it is lost.

    The proof says how long it was, and whether the target gave it up by itself.
    """

    strike: ClassVar[Strike] = Strike.STALL
    freezes: ClassVar[Side | None] = None
    stall_ms: int

    def __post_init__(self) -> None:
        whole(self.stall_ms, "stall_ms", 1, MAXIMUM_STALL_MS)

    async def hit(self, moment: Moment) -> Proof:
        began = time.monotonic()
        moment.stop()
        hung_up = await moment.hung_up(self.stall_ms / 1000)
        stalled_ms = round((time.monotonic() - began) * 1000, 1)
        port = moment.drop_client(reset=True)
        seen = {"stall_ms": stalled_ms, "target_hung_up": hung_up, "reset_port": port}
        return seen | {"server_closed": await moment.close_server()}
