"""After a partial close the stops are taken back, to be set for what is left; that never happens.

Origin: freqtrade PR#13037: a position open with no stop.
Caught by gate 3: an open position without the stop that it should have.
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
    if units is not None:
        nothing = {"stopLoss": None, "takeProfit": None}
        await trader.broker._once("PUT", f"/trades/{position['broker_trade_id']}/orders", json=nothing)
        await trader.follower.catch_up()
    return order


DEFECT = Defect(
    name="stop-lost-after-partial-fill",
    title="A stop lost after a partial fill",
    origin="freqtrade PR#13037",
    gate=3,
    rules=("position without its stop",),
    replaces=(Replacement(Trader, "close_position", _close_position),),
    steps=(ask("open"), ask("partial_fill"), wait(6)),
)
