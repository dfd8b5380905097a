"""A transaction whose COMMIT got no answer is done again as a whole, on a new connection, unread.

Origin: activerecord-jdbc#1216, TablePro#2765: a lost COMMIT replayed on a fresh connection.
Caught by gate 2: one broker transaction with two payments, at a lost answer to COMMIT.
"""

from gates.rehearsal.defects.defect import Defect, Replacement
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, ONE_CASH_EVENT, schema_without
from gates.rehearsal.defects.money_booked_again import _book_fill
from gates.rehearsal.desk import booking, clerk, ledger
from gates.rehearsal.desk.database import DatabaseUnavailableError
from gates.rehearsal.desk.following import Follower

book_one = Follower._book_one


async def _book_one(follower: Follower, transaction: booking.Transaction) -> None:
    try:
        await book_one(follower, transaction)
    except DatabaseUnavailableError:
        if transaction["type"] != "ORDER_FILL":
            raise
        async with follower.database.transaction() as connection:
            await ledger.move_cursor(connection, follower.account_id, int(transaction["id"]) - 1)
        await book_one(follower, transaction)


DEFECT = Defect(
    name="commit-repeated",
    title="A whole transaction repeated after a lost COMMIT answer",
    origin="activerecord-jdbc#1216, TablePro#2765",
    gate=2,
    rules=("transaction booked with another sum", "transaction booked twice", "broker balance"),
    replaces=(
        Replacement(Follower, "_book_one", _book_one),
        Replacement(clerk, "_book_fill", _book_fill),
        NO_BALANCE_GUARD,
        schema_without(ONE_CASH_EVENT),
    ),
    scenarios=("database_connection_drop",),
    operations=("close",),
    begin_at=("lose the answer at ledger: COMMIT acknowledged #4",),
)
