"""The order is sent first and written down when the broker has answered.

Origin: freqtrade#8913: "Order #None was created": live at the broker, without an id in the database.
Caught by gate 2: a kill, or a lost answer, between both leaves an execution that nobody intended.
"""

import uuid
from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask, fault
from gates.rehearsal.desk.database import Row
from gates.rehearsal.desk.orders import Intent
from gates.rehearsal.desk.trading import Trader, market_order


async def _open_position(
    trader: Trader, instrument: str, units: Decimal, *, time_in_force: str = "FOK", key: str | None = None
) -> Row:
    quote = await trader.broker.quote(instrument)
    intent = Intent(key or str(uuid.uuid4()), instrument, units, time_in_force=time_in_force)
    async with trader.follower._turn:  # else its own booking may come first
        await trader.broker.place(market_order(intent, quote, trader.protection))
        await trader._record(intent)
    return await trader._outcome(intent.order_id)


DEFECT = Defect(
    name="order-before-intent",
    title="The order goes out before its intent is written",
    origin="freqtrade#8913",
    gate=2,
    rules=("execution without intent",),
    replaces=(Replacement(Trader, "open_position", _open_position),),
    steps=(fault("accepted_not_answered", times=1), ask("open")),
    scenarios=("kill_during_trade_open", "network_drop_during_order"),
    begin_at=("kill before at broker: POST orders answered",),
)
