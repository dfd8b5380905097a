"""The switch that lets the desk trade wakes old code: it sends order after order and never looks at the fills.

Origin: Knight Capital, 2012 (SEC release 70694): a flag used anew woke the dead "Power Peg" in a router.
Caught by gate 4: nobody turns that switch before, and each order is booked right; the plan's limits stop it.
"""

import uuid
from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, live
from gates.rehearsal.desk import orders
from gates.rehearsal.desk.desk import Desk
from gates.rehearsal.desk.trading import Trader, market_order

INSTRUMENT, UNITS = "EUR_USD", Decimal(100)
MOST = 400  # it ends by itself, long after it should have been stopped
trade, trade_once = Desk.trade, Desk._trade
awake: set[Desk] = set()


def _trade(desk: Desk, running: bool) -> bool:
    trading = trade(desk, running)
    if trading:
        awake.add(desk)
    return trading


async def _trade_once(desk: Desk) -> None:
    if desk in awake:
        awake.discard(desk)
        for _ in range(MOST):
            await _send_another(desk.trader)
    await trade_once(desk)


async def _send_another(trader: Trader) -> None:
    quote = await trader.broker.quote(INSTRUMENT)
    intent = orders.Intent(str(uuid.uuid4()), INSTRUMENT, UNITS)
    if await trader._record(intent):
        await trader._send(intent.order_id, trader.broker.place(market_order(intent, quote, trader.protection)))


DEFECT = Defect(
    name="runaway-orders",
    title="Orders that run away",
    origin="Knight Capital, SEC release 70694",
    gate=4,
    rules=("more orders a minute than the plan allows",),
    replaces=(Replacement(Desk, "trade", _trade), Replacement(Desk, "_trade", _trade_once)),
    steps=(live(15),),
)
