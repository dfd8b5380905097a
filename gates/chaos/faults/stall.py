"""Stall a connection: nothing passes either way and nobody hangs up; then the target's side is reset."""

import asyncio
import time
from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.fault import whole
from gates.chaos.messages import Proof, Side, Strike
from gates.chaos.moments import Moment

MAXIMUM_STALL_MS = 600_000


@dataclass(frozen=True)
class Stall:
    """`stall_ms`: how long the connection is a black hole, 1 to 600,000. What stood in it is lost."""

    strike: ClassVar[Strike] = Strike.STALL
    freezes: ClassVar[Side | None] = None
    stall_ms: int

    def __post_init__(self) -> None:
        whole(self.stall_ms, "stall_ms", 1, MAXIMUM_STALL_MS)

    async def hit(self, moment: Moment) -> Proof:
        began = time.monotonic()
        moment.stop()
        await asyncio.sleep(self.stall_ms / 1000)
        stalled_ms = round((time.monotonic() - began) * 1000, 1)
        port = moment.drop_client(reset=True)
        return {"stall_ms": stalled_ms, "reset_port": port, "server_closed": await moment.close_server()}
