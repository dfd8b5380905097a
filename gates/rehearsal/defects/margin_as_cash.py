"""Reserved margin is booked as cash: the balance falls when a position opens.

Origin: the risk ledger of the original system wrote MARGIN_RESERVED with a cash amount; its audit called that valid.
Caught by gate 3 (and each integrity slot of gate 1): the broker's balance did not move.
"""

from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD
from gates.rehearsal.desk import booking, clerk, ledger
from gates.rehearsal.desk.database import Row

book_opening = clerk._book_opening


async def _book_opening(
    entry: clerk.Entry, fill: booking.Transaction, opening: booking.Opening, commission: Decimal
) -> Row:
    execution = await book_opening(entry, fill, opening, commission)
    event = ledger.BalanceEvent(
        event_type="ADJUSTMENT",
        amount=-opening.margin,
        broker_transaction_id=str(entry.movement.transaction_id),
        occurred_at=entry.movement.occurred_at,
        position_id=execution["position_id"],
        execution_id=execution["execution_id"],
    )
    await ledger.append_balance_event(entry.connection, event, account_id=entry.account_id, now=entry.now)
    return execution


DEFECT = Defect(
    name="margin-as-cash",
    title="Margin is booked as cash",
    origin="the original system's risk ledger",
    gate=3,
    rules=("transaction booked with another sum", "broker balance"),
    replaces=(Replacement(clerk, "_book_opening", _book_opening), NO_BALANCE_GUARD),
    steps=(ask("open"),),
)
