"""Leave a connection half open: the target's side is gone, the server's side stays with its transaction and locks."""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.fault import whole
from gates.chaos.faults.moments import Moment
from gates.chaos.messages import Proof, Side, Strike

MAXIMUM_KEPT_MS = 600_000


@dataclass(frozen=True)
class HalfOpen:
    """`keep_ms`: how long the server's side is kept, 1 to 600,000."""

    strike: ClassVar[Strike] = Strike.HALF_OPEN
    freezes: ClassVar[Side | None] = None
    keep_ms: int

    def __post_init__(self) -> None:
        whole(self.keep_ms, "keep_ms", 1, MAXIMUM_KEPT_MS)

    async def hit(self, moment: Moment) -> Proof:
        pid = moment.backend_pid
        moment.keep_server()
        port = moment.drop_client(reset=True)
        kept_ms = await moment.kept_server(self.keep_ms)
        seen = {"kept_ms": kept_ms, "reset_port": port, "server_closed": await moment.close_server()}
        return seen if pid is None else {"backend_pid": pid, **seen}
