"""After a crash a fill is recognised and not booked again, but its money is.

Origin: hummingbot#1663, trades recorded twice when a restart falls between.
Caught by gate 2: a kill between the booking and the cursor's move gives one broker transaction two payments.
"""

from decimal import Decimal

from gates.rehearsal.defects.defect import START, Defect, Replacement, Step, ask
from gates.rehearsal.defects.holding import hold, let_go
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, ONE_CASH_EVENT, commit_here, schema_without
from gates.rehearsal.desk import booking, clerk
from gates.rehearsal.desk.database import Row

book_cash = clerk._book_cash
book_fill = clerk._book_fill
BOOKED = """SELECT execution.*, broker_trade_id FROM wartest.executions AS execution
    JOIN wartest.positions USING (position_id) WHERE execution.account_id = %s AND broker_transaction_id = %s"""
FILL_IS_BOOKED = """EXISTS (SELECT FROM wartest.executions
    WHERE broker_transaction_id = NEW.last_transaction_id::text AND realized_pnl <> 0)"""


async def _book_fill(entry: clerk.Entry, fill: booking.Transaction) -> dict[str, Row]:
    found = await entry.connection.execute(BOOKED, (entry.account_id, str(fill["id"])))
    known = {str(row["broker_trade_id"]): row for row in await found.fetchall()}
    return known or await book_fill(entry, fill)


async def _book_cash(entry: clerk.Entry, executions: dict[str, Row]) -> None:
    await book_cash(entry, executions)
    if sum((abs(part.amount) for part in entry.movement.cash), Decimal(0)):
        await commit_here(entry.connection)


DEFECT = Defect(
    name="money-booked-again",
    title="Re-booking after a crash",
    origin="hummingbot#1663",
    gate=2,
    rules=("transaction booked with another sum", "transaction booked twice", "broker balance"),
    by_hand=("transaction booked with another sum", "transaction booked twice", "broker balance"),
    replaces=(
        Replacement(clerk, "_book_fill", _book_fill),
        Replacement(clerk, "_book_cash", _book_cash),
        NO_BALANCE_GUARD,
        schema_without(ONE_CASH_EVENT),
    ),
    steps=(
        ask("open"),
        hold("desk.cursors", FILL_IS_BOOKED),
        Step("killed_ask", "close"),
        let_go("desk.cursors"),
        START,
    ),
    scenarios=("kill_during_trade_close",),
    begin_at=("kill after at ledger: COMMIT acknowledged #4",),
)
