"""Ledger databases of cells: made from a template in tens of milliseconds, dropped with whoever still holds them.

Every name begins with `wartest_cell_`, the machine, and the number and start time of the process that made it: so that
what a killed engine left behind can be told from what is in use, also where engines of several machines share a server.
"""

import os
import re
from collections.abc import Sequence
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import AsyncConnection, sql

from gates.chaos.cells.processes import NotOursError, is_running, start_ticks
from gates.workers import is_over, place

PREFIX = "wartest_cell_"
_NAME = re.compile(rf"{PREFIX}(?:([0-9a-f]{{12}})_)?(\d+)_(\d+)_")  # without a machine before machines were told apart
CONNECT_TIMEOUT_S = 5
_numbers = count(1)


class LedgerServer:
    """Makes and drops databases on one PostgreSQL server. `url` is of a role that may create databases."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._owner = f"{PREFIX}{place()}_{os.getpid()}_{start_ticks(os.getpid())}_"

    @property
    def host(self) -> str:
        """The server's host."""
        return urlsplit(self._url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        """The server's port."""
        return urlsplit(self._url).port or 5432

    @property
    def address(self) -> str:
        """Which server it is, without secrets: host and port."""
        return f"{self.host}:{self.port}"

    def url_of(self, database: str, *, port: int | None = None) -> str:
        """The address of a database, directly or, with `port`, through a proxy on 127.0.0.1."""
        parts = urlsplit(self._url)
        login = parts.netloc.rpartition("@")[0]
        place = f"127.0.0.1:{port}" if port else f"{self.host}:{self.port}"
        return urlunsplit((parts.scheme, f"{login}@{place}" if login else place, f"/{database}", "", ""))

    async def create(self, word: str, *, template: str = "template1") -> str:
        """Create a database from `template`; returns its name. Raises psycopg.Error."""
        name = f"{self._owner}{next(_numbers)}_{word}"
        await self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return name

    async def drop(self, name: str) -> None:
        """Drop a database of ours, ending the sessions that still hold it. Raises NotOursError, psycopg.Error."""
        if not _NAME.match(name):
            raise NotOursError(f"{name} is not a database of a cell: it is not dropped.")
        await self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    async def mine(self) -> Sequence[str]:
        """The databases that this process has made and not dropped."""
        return [name for name in await self._names() if name.startswith(self._owner)]

    async def sweep(self) -> Sequence[str]:
        """Drop what dead makers of this machine left; returns the names. Other machines sweep theirs."""
        left = [name for name in await self._names() if _is_left(name)]
        for name in left:
            await self.drop(name)
        return left

    async def drop_others_of(self, name: str) -> Sequence[str]:
        """Drop what the maker of a database has made besides, if it is one of another machine, which is known to be
        gone; returns the names. Raises psycopg.Error.
        """
        maker = _NAME.match(name)
        if maker is None or maker[1] in {None, place()}:
            return []
        others = [each for each in await self._names() if each.startswith(maker[0]) and each != name]
        for each in others:
            await self.drop(each)
        return others

    async def _names(self) -> list[str]:
        async with await self._connected() as connection:
            found = await connection.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (PREFIX,)
            )
            return [name for (name,) in await found.fetchall()]

    async def _run(self, statement: sql.Composed) -> None:
        async with await self._connected() as connection:
            await connection.execute(statement)

    async def _connected(self) -> AsyncConnection[tuple[str, ...]]:
        url = self.url_of("postgres")
        return await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)


def _is_left(name: str) -> bool:
    """Whether a process of this machine made it and is dead; whether one of another machine is cannot be seen here."""
    found = _NAME.match(name)
    if found is None or found[1] is None:
        return False
    return is_over(found[1]) or (found[1] == place() and not is_running(int(found[2]), int(found[3])))
