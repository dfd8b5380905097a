"""Every order of an instrument carries the same client id.

Origin: OANDA refuses a client order id only while another order of it is pending (notes of its clients), so a second
order goes through once the first is filled.
Caught by gate 3: two orders, and two fills, of one client order id.
"""

from datetime import datetime
from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.defects.loosened import ONE_CLIENT_ID, schema_without
from gates.rehearsal.desk import broker, orders, trading
from gates.rehearsal.desk.database import Connection

record_intent = orders.record_intent
market_order = trading.market_order


async def _record_intent(connection: Connection, account_id: str, intent: orders.Intent, *, now: datetime) -> bool:
    written = await record_intent(connection, account_id, intent, now=now)
    await connection.execute(
        "UPDATE wartest.orders SET client_order_id = %s WHERE order_id = %s", (intent.instrument, intent.order_id)
    )
    return written


def _market_order(intent: orders.Intent, quote: broker.Quote, protection: trading.Protection) -> dict[str, Any]:
    order = market_order(intent, quote, protection)
    del order["tradeClientExtensions"]
    return order | {"clientExtensions": {"id": intent.instrument}}


DEFECT = Defect(
    name="one-client-id",
    title="One client order id for many orders",
    origin="OANDA's CLIENT_ORDER_ID_ALREADY_EXISTS",
    gate=3,
    rules=(
        "client order executed twice",
        "client order filled twice",
    ),
    replaces=(
        Replacement(orders, "record_intent", _record_intent),
        Replacement(trading, "market_order", _market_order),
        schema_without(ONE_CLIENT_ID),
    ),
    steps=(ask("open"), ask("open")),
)
