"""A stop is set again on a trade that is closed: an order of its own, which would sell a second time.

Origin: freqtrade PR#2799 and #7606, stops recreated on closed trades.
Caught by gate 3: an order at the broker that protects nothing.
"""

from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.desk.database import Row
from gates.rehearsal.desk.trading import Trader

close_position = Trader.close_position


async def _close_position(
    trader: Trader, position: Row, *, units: Decimal | None = None, key: str | None = None
) -> Row:
    order = await close_position(trader, position, units=units, key=key)
    again = {
        "type": "STOP",
        "instrument": position["instrument"],
        "units": str(-position["units_open"]),
        "price": str(position["stop_loss"]),
        "timeInForce": "GTC",
        "positionFill": "DEFAULT",
    }
    await trader.broker.place(again)
    await trader.follower.catch_up()
    return order


DEFECT = Defect(
    name="stop-after-close",
    title="A stop set again on a closed trade",
    origin="freqtrade PR#2799, #7606",
    gate=3,
    rules=("stuck order",),
    replaces=(Replacement(Trader, "close_position", _close_position),),
    steps=(ask("open"), ask("close")),
)
