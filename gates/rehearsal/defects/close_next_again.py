"""A close without an answer is done again from its beginning: the position to close is looked for anew.

Origin: catalyst#317, whose retry repeats the whole request; here it repeats the choice too.
Caught by gate 2: two positions closed where one was asked for, at a lost answer. Who holds one position has no second
one to lose, and no other evidence of it.
"""

from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask, fault
from gates.rehearsal.desk.broker import Broker, BrokerError, BrokerUnavailableError

close_trade = Broker.close_trade


async def _close_trade(broker: Broker, trade_id: str, *, units: str) -> dict[str, Any]:
    try:
        return await close_trade(broker, trade_id, units=units)
    except BrokerUnavailableError as doubt:
        try:
            trades = (await broker._read("/openTrades"))["trades"]
            oldest = min(trades, key=lambda trade: int(trade["id"]))
            return await close_trade(broker, str(oldest["id"]), units=units)
        except (BrokerError, ValueError):  # nothing to close any more: it must have been done
            raise doubt from None


DEFECT = Defect(
    name="close-next-again",
    title="A close in doubt is done again, and takes the next position",
    origin="catalyst#317",
    gate=2,
    rules=("dealt more than asked for",),
    replaces=(Replacement(Broker, "close_trade", _close_trade),),
    steps=(ask("open"), ask("open"), fault("accepted_not_answered", times=1), ask("close")),
    scenarios=("network_drop_during_close",),
    begin_at=("lose the answer at broker: PUT",),
)
