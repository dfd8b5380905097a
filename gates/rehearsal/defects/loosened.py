"""The desk's own guards, taken away: what a less careful system does not have, and a defect needs to come through."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from psycopg import Error

from gates.rehearsal.defects.defect import Replacement
from gates.rehearsal.desk import booking, clerk, ledger, schema
from gates.rehearsal.desk.database import Connection, DatabaseUnavailableError
from gates.rehearsal.desk.following import Follower

log = logging.getLogger(__name__)

ONE_CASH_EVENT = "UNIQUE NULLS NOT DISTINCT (account_id, broker_transaction_id, event_type, position_id)"
ONE_CLIENT_ID = "UNIQUE (account_id, client_order_id)"
ROW_ADDS_UP = "CHECK (balance_before + amount = balance_after)"


async def _believe(_entry: clerk.Entry) -> None:
    """Asks the broker's balance nothing."""


def _accept(_transaction: booking.Transaction, _movement: booking.Movement) -> None:
    """Takes a movement whose parts do not explain it."""


NO_BALANCE_GUARD = Replacement(clerk, "_check_balance", _believe)
NO_EXPLANATION = Replacement(booking, "_refuse_unexplained", _accept)


def schema_without(*clauses: str) -> Replacement:
    """The desk's tables without these clauses. Raises ValueError when one is not there."""
    statements = "\x00".join(schema.STATEMENTS)
    for clause in clauses:
        without = _without(statements, clause)
        if without == statements:
            raise ValueError(f"the desk's tables do not say {clause}")
        statements = without
    return Replacement(schema, "STATEMENTS", tuple(statements.split("\x00")))


def _without(statements: str, clause: str) -> str:
    for found in (f",\n        {clause}", f", {clause}", f" {clause}"):
        statements = statements.replace(found, "")
    return statements


def cash_besides(*event_types: str) -> Any:
    """A stand-in for `booking._cash` that forgets these kinds of balance event."""
    complete = booking._cash

    def cash(transaction: booking.Transaction, closings: tuple[booking.Closing, ...]) -> tuple[booking.Cash, ...]:
        return tuple(part for part in complete(transaction, closings) if part.event_type not in event_types)

    return cash


def skipping(*why: type[Error]) -> Callable[[Follower, booking.Transaction], Awaitable[None]]:
    """A stand-in for `Follower._book_one` that goes on without a transaction whose booking failed for one of these."""
    book_one = Follower._book_one

    async def book_or_skip(follower: Follower, transaction: booking.Transaction) -> None:
        try:
            await book_one(follower, transaction)
        except DatabaseUnavailableError as error:
            if not isinstance(error.__cause__, why):
                raise
            log.warning("transaction %s is skipped: %s", transaction["id"], error)
            async with follower.database.transaction() as connection:
                await ledger.move_cursor(connection, follower.account_id, int(transaction["id"]))

    return book_or_skip


async def commit_here(connection: Connection) -> None:
    """End the caller's database transaction in its middle, and begin another."""
    await connection.execute("COMMIT")
    await connection.execute("BEGIN")
