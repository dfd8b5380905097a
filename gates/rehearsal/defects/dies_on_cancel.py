"""The desk dies when the broker cancels an order: a case nobody had thought of.

Origin: freqtrade#9675, a bot that crashed and was found hours later.
Caught by gate 1: the target does not answer. So would any other that is gone, or is slower than 5 s: gate 1 sees no
cause, and which message it died of is gate 2's to say.
"""

import os
from datetime import datetime

from gates.rehearsal.defects.defect import Defect, Replacement, ask, control, watch
from gates.rehearsal.desk import booking, orders
from gates.rehearsal.desk.database import Connection

apply_order_transaction = orders.apply_order_transaction


async def _apply_order_transaction(
    connection: Connection, account_id: str, transaction: booking.Transaction, *, now: datetime
) -> None:
    if transaction["type"] == "ORDER_CANCEL":
        os._exit(70)
    await apply_order_transaction(connection, account_id, transaction, now=now)


DEFECT = Defect(
    name="dies-on-cancel",
    title="A process that dies of a case nobody thought of",
    origin="freqtrade#9675",
    gate=1,
    rules=("target does not answer",),
    replaces=(Replacement(orders, "apply_order_transaction", _apply_order_transaction),),
    steps=(control("/liquidity", instrument="EUR_USD", units="300"), ask("open", units="1000"), watch(2)),
)
