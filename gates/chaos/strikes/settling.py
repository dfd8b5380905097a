"""When a recovery is over: the target is well, no order is in doubt, and no transaction of its is open.

An order that waits at the broker, as a limit order does, is in no doubt where the ledger knows it by the broker's id.
"""

import asyncio
import time

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from gates.chaos.cells.cell import Cell
from gates.chaos.cells.resting import resting_ids
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.strikes.invariants import UNFINISHED

RECOVERY_LIMIT_S = 60.0
SETTLE_PAUSE_S = 0.1
# What another user's session does is NULL, unless ours may see it; of the server's own workers the user is NULL too.
_SESSIONS = """
    SELECT count(*) FILTER (WHERE backend_type = 'client backend' AND state <> 'idle'
                            AND backend_start >= to_timestamp(%s)),
           count(*) FILTER (WHERE usesysid IS NOT NULL AND state IS NULL AND backend_start IS NULL)
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
REST_S = 0.5  # a recovery pauses longer than an operation: between connecting, creating and reading


async def settled(cell: Cell, deadline: float, *, since: float = 0.0, ask_health: bool = True) -> None:
    """Wait until the target says that it is well, no order is in doubt and no transaction of its is open.

    Sessions from before `since` (seconds since 1970) are a dead process's, not the target's. Without `ask_health` no
    request is sent to the target, so that all its messages are its own.

    Raises TargetNotReadyError at the deadline, with what was still missing.
    """
    missing = ""
    while time.monotonic() < deadline:
        missing = await unsettled(cell, since) or (await cell.target.unwell() if ask_health else "")
        if not missing and not await unsettled(cell, since):
            return
        await asyncio.sleep(SETTLE_PAUSE_S)
    raise TargetNotReadyError(f"The target was not settled in time: {missing or 'its work never rested'}")


async def rested(cell: Cell, deadline: float, *, since: float = 0.0) -> float:
    """Wait until the target is settled and has stayed so for REST_S; when it was settled, by the monotonic clock.

    What it does a little later, it does in that time, and is judged by. Raises TargetNotReadyError at the deadline, and
    when it has ended by then: of a dead target nothing is open in the database either.
    """
    while True:
        await settled(cell, deadline, since=since)
        over_at = time.monotonic()
        await asyncio.sleep(REST_S)
        if not await unsettled(cell, since) and not await cell.target.unwell():
            return over_at


async def unsettled(cell: Cell, since: float) -> str:
    """What is still unfinished, in words; empty when nothing is. A session of which we may not see what it does is none
    at rest.
    """
    connection = await cell.direct()
    if doubtful := await _in_doubt(cell, connection):
        return f"{doubtful} orders in doubt"
    found = await (await connection.execute(_SESSIONS, (since,))).fetchone()
    busy, unseen = found or (0, 0)
    if unseen:
        return f"{unseen} sessions may not be seen at rest: grant pg_read_all_stats to the cells' user"
    return f"{busy} transactions open" if busy else ""


async def _in_doubt(cell: Cell, connection: psycopg.AsyncConnection[TupleRow]) -> int:
    """How many orders are unfinished, besides those that are known to wait at the broker."""
    orders = sql.SQL("SELECT broker_order_id::text FROM {} WHERE status = ANY(%s)").format(
        sql.Identifier(cell.premises.schema, "orders")
    )
    unfinished = await (await connection.execute(orders, (list(UNFINISHED),))).fetchall()
    if not unfinished:
        return 0
    waiting = resting_ids(await cell.premises.simulator.transactions(cell.account))
    return sum(broker_order_id not in waiting for (broker_order_id,) in unfinished)


def wall(monotonic_s: float) -> float:
    """A moment of the monotonic clock in seconds since 1970, a little early."""
    return time.time() - (time.monotonic() - monotonic_s) - 0.05
