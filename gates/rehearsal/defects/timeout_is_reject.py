"""No answer to an order is taken for a no: the order is rejected in the books and forgotten.

Origin: hummingbot#493, "we were treating Timeout Errors as Order failure events", and #8457.
Caught by gate 2: an order that was given up and executed, at a lost answer.
"""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask, fault
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD
from gates.rehearsal.desk import booking, clerk, following, ledger, orders
from gates.rehearsal.desk.broker import BrokerUnavailableError
from gates.rehearsal.desk.database import Connection
from gates.rehearsal.desk.trading import Trader

send = Trader._send
book = clerk.book
FORGOTTEN = """SELECT 1 FROM wartest.orders WHERE account_id = %s AND status = 'rejected'
    AND (client_order_id = %s OR broker_order_id = %s)"""


async def _send(trader: Trader, order_id: str, request: Awaitable[dict[str, Any]]) -> None:
    async def refused_when_silent() -> dict[str, Any]:
        try:
            return await request
        except BrokerUnavailableError:
            async with trader.follower.database.transaction() as connection:
                await orders.reject_pending(connection, order_id, now=datetime.now(UTC))
            raise

    await send(trader, order_id, refused_when_silent())


async def _book(connection: Connection, account_id: str, transaction: booking.Transaction, *, now: datetime) -> bool:
    client_id = (transaction.get("clientExtensions") or {}).get("id")
    keys = (account_id, client_id, str(transaction.get("orderID")))
    if await (await connection.execute(FORGOTTEN, keys)).fetchone() is None:
        return await book(connection, account_id, transaction, now=now)
    await connection.execute(
        "UPDATE wartest.orders SET broker_order_id = %s WHERE account_id = %s AND client_order_id = %s",
        (str(transaction["id"]), account_id, client_id),
    )
    await ledger.move_cursor(connection, account_id, int(transaction["id"]))
    return True


DEFECT = Defect(
    name="timeout-is-reject",
    title="A timeout taken for a reject",
    origin="hummingbot#493, #8457",
    gate=2,
    rules=("given up but executed",),
    replaces=(Replacement(Trader, "_send", _send), Replacement(following, "book", _book), NO_BALANCE_GUARD),
    steps=(fault("accepted_not_answered", times=1), ask("open"), ask("open")),
    scenarios=("network_drop_during_order",),
    begin_at=("lose the answer at broker: POST orders",),
    by_hand=("broker trade without position",),
)
