"""The ledger's server and the end of the books: a read-only connection of our own, and two statements per look."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from audits.sources.postgres_moment import OUR_NAME
from gates.alerts.rules.observed import (
    BalanceRow,
    BooksSeen,
    PositionSeen,
    ReconciliationSeen,
    ServerSeen,
    SessionSeen,
)

CONNECT_LIMIT_S = 2
STATEMENT_LIMIT_MS = 1000
LOCK_LIMIT_MS = 200  # a lock is what we came to see, not to wait for
LOOK_LIMIT_S = 3.0
MOST_SESSIONS, MOST_BALANCES, MOST_POSITIONS, MOST_RECONCILIATIONS = 200, 200, 500, 200
OVERLAP = timedelta(minutes=10)  # a reconciliation is dated by its start and seen once it is written
SLOW_FOR_S = 10.0
SLOW = (TimeoutError, psycopg.errors.QueryCanceled, psycopg.errors.ConnectionTimeout)
LOST = (psycopg.Error, OSError, ValueError)
# Of one transaction only: behind a pooler the session is not ours alone.
SETTINGS = (
    f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {STATEMENT_LIMIT_MS}; "
    f"SET LOCAL lock_timeout = {LOCK_LIMIT_MS}; SET LOCAL TimeZone = 'UTC'; "
)

# `to_jsonb` of the row, so that a server too old to count killed sessions says nothing instead of failing. What
# works, or may not be looked at (its state is null), comes before those that rest: a large pool hides no query.
SESSIONS = """
    SELECT (SELECT coalesce((told ->> 'sessions_killed')::bigint, 0) + coalesce((told ->> 'sessions_fatal')::bigint, 0)
            FROM (SELECT to_jsonb(s) AS told FROM pg_stat_database s WHERE datname = current_database()) counted),
           coalesce((SELECT json_agg(json_build_object('pid', pid, 'query', left(query, 300), 'state', state,
               'running_ms', extract(epoch FROM clock_timestamp() - query_start) * 1000,
               'blocked_by', CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) END))
            FROM (SELECT * FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                  AND backend_type = 'client backend' AND application_name <> %(our_name)s
                  ORDER BY coalesce(state, 'active') <> 'active', query_start LIMIT %(sessions)s) others), '[]')
"""
ACCOUNTS = "SELECT account_id::text FROM {accounts} ORDER BY account_id::text = %(account)s DESC LIMIT 2"
BOOKS = """
    SELECT json_build_object(
        'balance', (SELECT balance::text FROM {accounts} WHERE account_id::text = %(account)s LIMIT 1),
        'rows', (SELECT json_agg(json_build_array(event_id::text, sequence::text, balance_before::text, amount::text,
                balance_after::text, recorded_at) ORDER BY sequence)
            FROM (SELECT * FROM {balance_events} WHERE account_id::text = %(account)s
                  ORDER BY sequence DESC LIMIT %(balances)s) last_rows),
        'reconciliations', (SELECT json_agg(json_build_array(reconciliation_id::text, started_at, duration_ms::text,
                mismatches::text) ORDER BY started_at)
            FROM (SELECT * FROM {reconciliations} WHERE account_id::text = %(account)s AND started_at > %(since)s
                  ORDER BY started_at DESC LIMIT %(reconciliations)s) lately),
        'positions', (SELECT json_agg(json_build_array(position_id::text, broker_trade_id::text, status,
                units_open::text, realized_pnl::text, opened_at, told.units::text, told.pnl::text, told.closed))
            FROM (SELECT * FROM {positions} WHERE account_id::text = %(account)s AND status = 'open'
                  ORDER BY opened_at DESC LIMIT %(positions)s) held,
            LATERAL (SELECT
                sum((story ->> 'units')::numeric) FILTER (WHERE event_type = 'ORDER_FILLED') AS units,
                sum((story ->> 'realized_pnl')::numeric) FILTER (WHERE event_type = 'PNL_REALIZED') AS pnl,
                bool_or(event_type = 'POSITION_CLOSED') AS closed,
                count(*) FILTER (WHERE event_type = 'ORDER_FILLED' AND story ->> 'units' IS NULL
                    OR event_type = 'PNL_REALIZED' AND story ->> 'realized_pnl' IS NULL) AS untold
                FROM (SELECT event_type, payload::jsonb AS story FROM {position_events} e
                      WHERE e.position_id = held.position_id) stories) told WHERE untold = 0))
"""
RELATIONS = ("accounts", "balance_events", "reconciliations", "positions", "position_events")


class _Line:
    """One read-only connection, opened again where it was lost. Whoever looks at two things at once has two."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def ask(self, query: LiteralString | sql.Composed, values: dict[str, Any]) -> tuple[Any, ...] | None:
        """Return the one row of the answer. Raises psycopg.Error, OSError.

        Settings and query go as one message, which PostgreSQL takes for one transaction: a look is one round trip.
        """
        cursor = psycopg.AsyncClientCursor(await self._connected())
        await cursor.execute(sql.SQL(SETTINGS) + (sql.SQL(query) if isinstance(query, str) else query), values)
        while cursor.description is None and cursor.nextset():
            pass
        return await cursor.fetchone()

    async def _connected(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo, autocommit=True, prepare_threshold=None
            )
        return self._connection

    async def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class ServerWatch:
    """Looks at one ledger by one connection, opened again where it was lost. `since`: when the run began.

    `account` is the broker's; where the ledger knows none of that name, its first account is meant.
    """

    def __init__(self, url: str, schema: str, account: str, since: datetime) -> None:
        conninfo = make_conninfo(url, application_name=OUR_NAME, connect_timeout=CONNECT_LIMIT_S)
        self._for_sessions, self._for_books = _Line(conninfo), _Line(conninfo)
        self._names = {name: sql.Identifier(schema, name) for name in RELATIONS}
        self._broker_account, self._account, self._since = account, "", since
        self._known: set[str] = set()
        self._killed: int | None = None
        self._answered_s = time.monotonic()

    async def look(self) -> ServerSeen | None:
        """Return how the server is, and which sessions of others it has; one that does not let us in is an `error`.

        A connection that was lost is opened once more at once. A server that is slow for a moment has not been seen
        (None); it is an error when that lasts.
        """
        try:
            try:
                seen = await self._sessions()
            except LOST:
                await self._for_sessions.close()
                seen = await self._sessions()
        except SLOW as error:
            await self._for_sessions.close()
            lasts = time.monotonic() - self._answered_s > SLOW_FOR_S
            return ServerSeen(error=_one_line(error)) if lasts else None
        except LOST as error:
            await self._for_sessions.close()
            return ServerSeen(error=_one_line(error))
        self._answered_s = time.monotonic()
        return seen

    async def _sessions(self) -> ServerSeen:
        values = {"our_name": OUR_NAME, "sessions": MOST_SESSIONS}
        async with asyncio.timeout(LOOK_LIMIT_S):
            killed, others = await self._for_sessions.ask(SESSIONS, values) or (0, [])
        before, self._killed = self._killed, killed
        hidden = sum(other["query"] == "<insufficient privilege>" for other in others)
        sessions = tuple(_session(other) for other in others if other["state"] == "active")
        return ServerSeen(killed=0 if before is None else max(0, killed - before), sessions=sessions, hidden=hidden)

    async def books(self) -> BooksSeen | str:
        """Return the end of the books at one moment, or why it could not be read."""
        try:
            async with asyncio.timeout(LOOK_LIMIT_S):
                return self._read(await self._told())
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError, TimeoutError) as error:
            if not isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
                await self._for_books.close()
            return f"the books could not be read in time: {_one_line(error)}"
        except (psycopg.Error, ArithmeticError, ValueError, TypeError) as error:
            return f"the books cannot be read: {_one_line(error)}"

    async def _told(self) -> dict[str, Any]:
        if not self._account:
            query = sql.SQL(ACCOUNTS).format(**self._names)
            first = await self._for_books.ask(query, {"account": self._broker_account})
            if first is None:
                raise ValueError("it has no account yet")
            self._account = first[0]
        values = {"account": self._account, "since": self._since - OVERLAP, "balances": MOST_BALANCES}
        values |= {"positions": MOST_POSITIONS, "reconciliations": MOST_RECONCILIATIONS}
        row = await self._for_books.ask(sql.SQL(BOOKS).format(**self._names), values)
        return dict(row[0]) if row else {}

    def _read(self, told: dict[str, Any]) -> BooksSeen:
        rows = tuple(_balance_row(self._account, row) for row in told["rows"] or ())
        balances = {} if told["balance"] is None else {self._account: Decimal(told["balance"])}
        positions = tuple(_position(row) for row in told["positions"] or ())
        return BooksSeen(balances, rows, positions, self._fresh(told["reconciliations"] or ()))

    def _fresh(self, rows: Any) -> tuple[ReconciliationSeen, ...]:
        """Those not seen before, since the run began; what is too old to come again is forgotten."""
        seen = [ReconciliationSeen(row[0], _moment(row[1]), Decimal(row[2]), int(row[3])) for row in rows]
        began = self._since if not self._known else datetime.min.replace(tzinfo=UTC)
        fresh = tuple(row for row in seen if row.reconciliation_id not in self._known and row.started_at > began)
        self._known = {row.reconciliation_id for row in seen}
        if seen:
            self._since = max(self._since, seen[-1].started_at)
        return fresh

    async def close(self) -> None:
        """Hang up."""
        await self._for_sessions.close()
        await self._for_books.close()


def _session(other: dict[str, Any]) -> SessionSeen:
    running_ms = float(other["running_ms"] or 0)
    blocked_by = tuple(other["blocked_by"] or ())
    query = " ".join(str(other["query"]).split())
    return SessionSeen(int(other["pid"]), query, running_ms, running_ms if blocked_by else 0.0, blocked_by)


def _balance_row(account: str, row: list[Any]) -> BalanceRow:
    before, amount, after = (Decimal(value) for value in row[2:5])
    return BalanceRow(row[0], account, int(row[1]), before, amount, after, _moment(row[5]))


def _position(row: list[Any]) -> PositionSeen:
    told = ("closed" if row[8] else "open", Decimal(row[6] or 0), Decimal(row[7] or 0))
    return PositionSeen(row[0], row[1], row[2], Decimal(row[3]), Decimal(row[4]), *told, _moment(row[5]))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or "it did not answer in time"
