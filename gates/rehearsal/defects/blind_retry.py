"""An order without an answer is sent again, with a new client id.

Origin: catalyst#317, bennycode/trading-signals#1178: the same order twice after a timeout.
Caught by gate 2: twice the units that were asked for, at a lost answer.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask, fault
from gates.rehearsal.desk.broker import Broker, BrokerUnavailableError

place = Broker.place


async def _place(broker: Broker, order: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return await place(broker, order)
    except BrokerUnavailableError:
        another = {"id": str(uuid.uuid4())}
        return await place(broker, {**order, "clientExtensions": another, "tradeClientExtensions": another})


DEFECT = Defect(
    name="blind-retry",
    title="A blind retry",
    origin="catalyst#317, bennycode/trading-signals#1178",
    gate=2,
    rules=("exposure",),
    replaces=(Replacement(Broker, "place", _place),),
    steps=(fault("accepted_not_answered", times=1), ask("open")),
    scenarios=("network_drop_during_order",),
    begin_at=("lose the answer at broker: POST orders",),
)
