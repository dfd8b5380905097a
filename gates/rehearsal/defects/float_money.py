"""The balance is added up in binary floating point.

Origin: the official client `v20` turns money into float unless it is told not to.
Caught by gate 3: a balance event that does not add up, in the eleventh decimal.
"""

import dataclasses
from datetime import datetime
from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, ROW_ADDS_UP, schema_without
from gates.rehearsal.desk import ledger
from gates.rehearsal.desk.database import Connection

append_balance_event = ledger.append_balance_event


async def _append_balance_event(
    connection: Connection, event: ledger.BalanceEvent, *, account_id: str, now: datetime
) -> None:
    account = await ledger.lock_account(connection, account_id)
    after = Decimal(repr(float(account["balance"]) + float(event.amount)))
    drifted = dataclasses.replace(event, amount=after - account["balance"])
    await append_balance_event(connection, drifted, account_id=account_id, now=now)
    await connection.execute(
        """UPDATE wartest.balance_events SET amount = %s WHERE account_id = %s AND sequence =
               (SELECT max(sequence) FROM wartest.balance_events WHERE account_id = %s)""",
        (event.amount, account_id, account_id),
    )


DEFECT = Defect(
    name="float-money",
    title="Money in binary floating point",
    origin="the default of OANDA's client v20",
    gate=3,
    rules=("balance row",),
    replaces=(
        Replacement(ledger, "append_balance_event", _append_balance_event),
        NO_BALANCE_GUARD,
        schema_without(ROW_ADDS_UP),
    ),
    steps=(*(ask("open", units=str(1000 + 7 * n)) for n in range(4)), ask("close"), ask("close")),
)
