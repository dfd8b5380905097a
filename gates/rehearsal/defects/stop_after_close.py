"""Stops are set again on a trade that is closed: an order of its own, which opens a position when its price comes.

Origin: freqtrade PR#2799 and #7606, stops recreated on closed trades.
Caught by gate 3: an order waits at the broker, at the stop of a position that is closed.
"""

from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask, wait
from gates.rehearsal.desk.database import Row
from gates.rehearsal.desk.trading import Trader

close_position = Trader.close_position


async def _close_position(
    trader: Trader, position: Row, *, units: Decimal | None = None, key: str | None = None
) -> Row:
    order = await close_position(trader, position, units=units, key=key)
    stop = {"type": "STOP", "units": str(-position["units_open"]), "price": str(position["stop_loss"])}
    await trader.broker.place(stop | {"instrument": position["instrument"], "timeInForce": "GTC"})
    return order


DEFECT = Defect(
    name="stop-after-close",
    title="Stops set again on a closed trade",
    origin="freqtrade PR#2799, #7606",
    gate=3,
    rules=("order of a closed position",),
    replaces=(Replacement(Trader, "close_position", _close_position),),
    steps=(ask("open"), ask("close"), wait(6)),
)
