"""Terminate the PostgreSQL backend behind the connection, as an administrator or a failover would."""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.fault import whole
from gates.chaos.faults.moments import MissedError, Moment, NotApplicableError
from gates.chaos.messages import Proof, Side, Strike

TERMINATED = "57P01"  # admin_shutdown


@dataclass(frozen=True)
class TerminateBackend:
    """The message is held, the owner ends the backend and decides `forward`, saying whether it `terminated` one; the
    proxy waits `limit_ms` to see 57P01.

    A request is lost with its backend; an answer is delivered first, so that the backend ends between two round trips.
    """

    strike: ClassVar[Strike] = Strike.TERMINATE_BACKEND
    freezes: ClassVar[Side | None] = None
    limit_ms: int = 5_000

    def __post_init__(self) -> None:
        whole(self.limit_ms, "limit_ms", 1, 60_000)

    async def hit(self, moment: Moment) -> Proof:
        pid = moment.backend_pid
        if pid is None:
            raise NotApplicableError(f"No PostgreSQL backend stands behind {moment.message.label}")
        told = await moment.owner_decides(self.strike)
        if not told.get("terminated"):
            raise MissedError(f"The server knew no backend {pid} to terminate")
        sqlstate = await moment.server_gone(self.limit_ms / 1000)
        if sqlstate != TERMINATED:
            raise MissedError(f"Backend {pid} ended with {sqlstate or 'no SQLSTATE'} instead of {TERMINATED}")
        return {"backend_pid": pid, "sqlstate": sqlstate}
