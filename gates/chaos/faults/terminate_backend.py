"""Terminate the PostgreSQL backend behind the connection, as an administrator or a failover would."""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.fault import whole
from gates.chaos.faults.moments import MissedError, Moment, NotApplicableError
from gates.chaos.messages import Proof, Side, Strike

CONNECT_LIMIT_S = 5
TERMINATED = "57P01"  # admin_shutdown


@dataclass(frozen=True)
class TerminateBackend:
    """The message is held, the owner calls `terminate` and decides `forward`, saying whether it `terminated` a backend;
    the proxy waits `limit_ms` to see 57P01.

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


async def terminate(admin_url: str, pid: int) -> bool:
    """`pg_terminate_backend(pid)`; False where there is no such backend. Raises psycopg.Error."""
    import psycopg  # noqa: PLC0415  half of a proxy's start otherwise, and proxies never come here

    connecting = psycopg.AsyncConnection.connect(admin_url, autocommit=True, connect_timeout=CONNECT_LIMIT_S)
    async with await connecting as connection:
        row = await (await connection.execute("SELECT pg_terminate_backend(%s)", (pid,))).fetchone()
    return bool(row and row[0])
