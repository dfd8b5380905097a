"""Recovery marks a transaction as done, then books it. Outside of a recovery both are one.

Origin: hand-made, after the one bug of a trial that no single kill found (10 of 10 only with a second one).
Caught by gate 2, and only by a second strike during the recovery: a fill that is done and not booked.
"""

from datetime import UTC, datetime

from gates.rehearsal.defects.defect import HEAL, START, Defect, Replacement, Step, ask, fault
from gates.rehearsal.defects.holding import hold, let_go
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD
from gates.rehearsal.desk import booking, ledger
from gates.rehearsal.desk.clerk import book
from gates.rehearsal.desk.following import Follower

begin = Follower.begin
book_one = Follower._book_one
resolve_doubts = Follower.resolve_doubts
recovering: set[Follower] = set()


async def _begin(follower: Follower) -> None:
    await begin(follower)
    recovering.add(follower)


async def _resolve_doubts(follower: Follower) -> None:
    recovering.discard(follower)  # the first thing that is done once the books are level
    await resolve_doubts(follower)


async def _book_one(follower: Follower, transaction: booking.Transaction) -> None:
    if follower not in recovering:
        await book_one(follower, transaction)
        return
    number, account_id = int(transaction["id"]), follower.account_id
    async with follower.database.transaction() as connection:
        await ledger.move_cursor(connection, account_id, number)
    async with follower.database.transaction() as connection:
        await ledger.move_cursor(connection, account_id, number - 1)
        await book(connection, account_id, transaction, now=datetime.now(UTC))


DEFECT = Defect(
    name="done-before-booked",
    title="Recovery marks done, then books",
    gate=2,
    by_hand=("position without broker trade", "broker balance"),
    rules=("given up but executed",),
    replaces=(
        Replacement(Follower, "begin", _begin),
        Replacement(Follower, "_book_one", _book_one),
        Replacement(Follower, "resolve_doubts", _resolve_doubts),
        NO_BALANCE_GUARD,
    ),
    steps=(
        ask("open"),
        fault("refused", method="GET", path="/sinceid"),
        Step("killed_ask", "close"),
        HEAL,
        hold("wartest.executions"),
        Step("killed_start"),
        let_go("wartest.executions"),
        START,
        ask("open"),
    ),
    depth=2,
    scenarios=("kill_during_trade_open",),
    begin_at=("kill before at broker: POST orders answered", "kill after at ledger: COMMIT acknowledged #3"),
)
