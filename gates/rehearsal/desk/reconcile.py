"""Comparing the books with the broker's account at the same transaction, and logging that it was done."""

import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gates.rehearsal.desk import ledger
from gates.rehearsal.desk.booking import money
from gates.rehearsal.desk.database import Row
from gates.rehearsal.desk.following import Follower, write_valuation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reconciliation:
    """One comparison; `mismatches` are sentences, none when all agrees."""

    reconciliation_id: str
    positions_checked: int
    duration_ms: float
    mismatches: tuple[str, ...]


async def reconcile(follower: Follower, *, reconciliation_id: str | None = None) -> Reconciliation:
    """Compares open positions and balance, writes the valuation and a row in `reconciliations`.

    `duration_ms` is the time from asking for the account to the comparison done.
    """
    async with (
        follower.level_with() as (account, started_at),
        follower.database.transaction() as connection,
    ):
        books = await ledger.lock_account(connection, follower.account_id)
        positions = await ledger.open_positions(connection, follower.account_id)
        mismatches = compare(books, positions, account)
        duration_ms = round((datetime.now(UTC) - started_at).total_seconds() * 1000, 3)
        result = Reconciliation(reconciliation_id or str(uuid.uuid4()), len(positions), duration_ms, tuple(mismatches))
        await write_valuation(connection, follower.account_id, account)
        await connection.execute(
            "INSERT INTO wartest.reconciliations VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                result.reconciliation_id,
                follower.account_id,
                started_at,
                duration_ms,
                len(positions),
                len(mismatches),
            ),
        )
    for mismatch in mismatches:
        log.error("reconciliation: %s", mismatch)
    return result


def compare(books: Row, positions: list[Row], account: dict[str, Any]) -> list[str]:
    """What differs between the books and the broker's account, one sentence each."""
    mismatches = []
    if books["balance"] != money(account, "balance"):
        mismatches.append(f"balance is {books['balance']} here, {account['balance']} at the broker")
    ours = {str(position["broker_trade_id"]): position for position in positions}
    theirs = {str(trade["id"]): trade for trade in account.get("trades", ()) if trade.get("state", "OPEN") == "OPEN"}
    for trade_id in sorted(ours.keys() - theirs.keys()):
        mismatches.append(f"trade {trade_id} is open here, not at the broker")
    for trade_id in sorted(theirs.keys() - ours.keys()):
        mismatches.append(f"trade {trade_id} is open at the broker, not here")
    for trade_id in sorted(ours.keys() & theirs.keys()):
        position, trade = ours[trade_id], theirs[trade_id]
        for name, mine, yours in (
            ("units", position["units_open"], money(trade, "currentUnits")),
            ("price", position["entry_price"], money(trade, "price")),
        ):
            if mine != yours:
                mismatches.append(f"trade {trade_id}: {name} is {mine} here, {yours} at the broker")
    return mismatches
