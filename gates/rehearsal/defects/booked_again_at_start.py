"""Each start books the money of the last transactions once more.

Origin: nautilus_trader#3046 and #3176: fills replayed on every restart.
Caught by gate 3: a broker transaction booked twice.
"""

from datetime import datetime

from gates.rehearsal.defects.defect import KILL, START, Defect, Replacement, ask
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, ONE_CASH_EVENT, schema_without
from gates.rehearsal.desk import booking, clerk, following, ledger
from gates.rehearsal.desk.database import Connection
from gates.rehearsal.desk.following import Follower

AGAIN = 3  # transactions that a start fetches again
begin = Follower.begin
book = clerk.book


async def _begin(follower: Follower) -> None:
    await begin(follower)
    async with follower.database.transaction() as connection:
        follower.cursor = max(0, await ledger.lock_cursor(connection, follower.account_id) - AGAIN)


async def _book(connection: Connection, account_id: str, transaction: booking.Transaction, *, now: datetime) -> bool:
    if int(transaction["id"]) > await ledger.lock_cursor(connection, account_id):
        return await book(connection, account_id, transaction, now=now)
    account = await ledger.lock_account(connection, account_id)
    movement = booking.read_transaction(transaction, currency=account["currency"])
    await clerk._book_cash(clerk.Entry(connection, account_id, movement, None, now), {})
    return True


DEFECT = Defect(
    name="booked-again-at-start",
    title="Each start books the last money again",
    origin="nautilus_trader#3046, #3176",
    gate=3,
    rules=("transaction booked with another sum", "profits booked", "broker balance"),
    replaces=(
        Replacement(Follower, "begin", _begin),
        Replacement(following, "book", _book),
        NO_BALANCE_GUARD,
        schema_without(ONE_CASH_EVENT),
    ),
    steps=(ask("open"), ask("close"), KILL, START),
)
