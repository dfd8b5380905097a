"""A close without an answer is tried another way: by an order in the opposite direction.

Origin: freqtrade PR#2799, a trade that would have been sold twice.
Caught by gate 2: twice the units closed, at a lost answer: of another position, or into one the other way round.
"""

from decimal import Decimal
from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask, fault
from gates.rehearsal.desk.broker import Broker, BrokerUnavailableError

close_trade = Broker.close_trade


async def _close_trade(broker: Broker, trade_id: str, *, units: str) -> dict[str, Any]:
    trade = (await broker._read(f"/trades/{trade_id}"))["trade"]
    try:
        return await close_trade(broker, trade_id, units=units)
    except BrokerUnavailableError:
        size = Decimal(trade["currentUnits"])
        opposite = -size if units == "ALL" else -Decimal(units).copy_sign(size)
        return await broker.place({"type": "MARKET", "instrument": trade["instrument"], "units": str(opposite)})


DEFECT = Defect(
    name="close-by-opposite-order",
    title="A close in doubt is done again by an opposite order",
    origin="freqtrade PR#2799",
    gate=2,
    rules=("exposure",),
    replaces=(Replacement(Broker, "close_trade", _close_trade),),
    steps=(ask("open"), fault("accepted_not_answered", times=1), ask("close")),
    scenarios=("network_drop_during_close",),
    begin_at=("lose the answer at broker: PUT",),
)
