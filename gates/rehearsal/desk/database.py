"""One connection to the desk's database that comes back by itself after an outage."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

Row = dict[str, Any]
Connection = AsyncConnection[Row]

CONNECT_TIMEOUT_S = 3
TRANSACTION_LIMIT_S = 10.0
CUT_GRACE_S = 0.5
REST_LIMIT_S = 0.5
# A dead client's half-open connection must not hold its locks for ever: the server ends it.
SESSION_OPTIONS = (
    "-c statement_timeout=5000 -c lock_timeout=4000 -c idle_in_transaction_session_timeout=10000 -c TimeZone=UTC"
)


class DatabaseUnavailableError(Exception):
    """The database did not answer in time or cut the connection; nothing is known to be stored."""


class Database:
    """Serialises transactions over one connection; a broken connection is thrown away and opened anew."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._stopped = False

    @asynccontextmanager
    async def transaction(self, *, limit_s: float = TRANSACTION_LIMIT_S) -> AsyncIterator[Connection]:
        """A transaction committed at the end of the block, waiting and all within `limit_s`.

        Raises DatabaseUnavailableError when the server is away, too slow, or chose this transaction as the
        victim of a deadlock. After a lost COMMIT answer the outcome is unknown: read before writing again.
        """
        try:
            deadline = asyncio.get_running_loop().time() + limit_s
            async with asyncio.timeout_at(deadline + CUT_GRACE_S), self._turn, self._cut_at(deadline):
                connection = await self._connected()
                try:
                    async with connection.transaction():
                        yield connection
                except BaseException:
                    await self._drop_if_unusable(connection)
                    raise
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, TimeoutError) as error:
            raise DatabaseUnavailableError(f"the database does not answer: {_one_line(error)}") from error

    async def close(self) -> None:
        """Closes the connection; a later transaction opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def stop(self) -> None:
        """Lets the running transaction finish for a moment, then cuts it off, for good: a stop is as safe as
        a kill.
        """
        self._stopped = True
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_LIMIT_S), self._turn:
                await self.close()
        self._cut()

    @asynccontextmanager
    async def _cut_at(self, deadline: float) -> AsyncIterator[None]:
        alarm = asyncio.get_running_loop().call_at(deadline, self._cut)
        try:
            yield
        finally:
            alarm.cancel()

    def _cut(self) -> None:
        """Shuts the socket down. Cancelling a query instead would ask the server for leave, and a server that
        stands still gives none for five seconds.
        """
        if self._connection is None or self._connection.closed:
            return
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self._connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    async def _connected(self) -> Connection:
        if self._stopped:
            raise DatabaseUnavailableError("the desk is stopping")
        if self._connection is None or self._connection.closed:
            self._connection = await AsyncConnection.connect(
                self._url,
                autocommit=True,
                row_factory=dict_row,
                connect_timeout=CONNECT_TIMEOUT_S,
                options=SESSION_OPTIONS,
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
            )
        return self._connection

    async def _drop_if_unusable(self, connection: Connection) -> None:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            await self.close()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
