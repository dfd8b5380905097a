"""A cancelled order is never told so: it stays submitted for ever.

Origin: freqtrade#8913, an order that stays open in the books and keeps the bot from starting.
Caught by gate 3: an order that is stuck.
"""

from datetime import datetime

from gates.rehearsal.defects.defect import Defect, Replacement, ask, control, wait
from gates.rehearsal.desk import booking, orders, trading
from gates.rehearsal.desk.database import Connection

apply_order_transaction = orders.apply_order_transaction


async def _apply_order_transaction(
    connection: Connection, account_id: str, transaction: booking.Transaction, *, now: datetime
) -> None:
    if transaction["type"] != "ORDER_CANCEL":
        await apply_order_transaction(connection, account_id, transaction, now=now)


DEFECT = Defect(
    name="cancel-ignored",
    title="A cancelled order stays submitted",
    origin="freqtrade#8913",
    gate=3,
    rules=("order stuck",),
    replaces=(
        Replacement(orders, "apply_order_transaction", _apply_order_transaction),
        Replacement(trading, "OUTCOME_TIMEOUT_S", 1.0),
    ),
    steps=(control("/liquidity", instrument="EUR_USD", units="300"), ask("open", units="1000"), wait(4)),
)
