"""A fill is booked in one database transaction, its money in the next.

Origin: the original system's BEGIN and COMMIT were separate calls over HTTP, and so no transaction at all.
Caught by gate 2: a kill between both leaves a closed position whose money was never booked.
"""

from gates.rehearsal.defects.defect import START, Defect, Replacement, Step, ask
from gates.rehearsal.defects.holding import hold, let_go
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, commit_here
from gates.rehearsal.desk import clerk, ledger
from gates.rehearsal.desk.database import Row

book_cash = clerk._book_cash


async def _book_cash(entry: clerk.Entry, executions: dict[str, Row]) -> None:
    if entry.movement.cash:
        await ledger.move_cursor(entry.connection, entry.account_id, entry.movement.transaction_id)
        await commit_here(entry.connection)
    await book_cash(entry, executions)


DEFECT = Defect(
    name="fill-and-cash-apart",
    title="A fill and its money in two transactions",
    origin="the original system over PostgREST",
    gate=2,
    rules=("transaction not booked", "broker balance"),
    by_hand=("transaction not booked", "broker balance"),
    replaces=(Replacement(clerk, "_book_cash", _book_cash), NO_BALANCE_GUARD),
    steps=(
        ask("open"),
        hold("wartest.balance_events"),
        Step("killed_ask", "close"),
        let_go("wartest.balance_events"),
        START,
    ),
    scenarios=("kill_during_trade_close", "kill_during_partial_fill"),
    begin_at=("kill after at ledger: COMMIT acknowledged #4",),
)
