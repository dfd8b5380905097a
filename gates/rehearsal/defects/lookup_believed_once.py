"""An order in doubt is looked up once; not found is believed, and the order is sent again.

Origin: hootnot/oanda-api-v20#204: just after a fill, OANDA answers NO_SUCH_ORDER for half a second.
Caught by gate 2: twice the units, where the answer is lost and the look-up does not see the order yet.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask, fault
from gates.rehearsal.desk.broker import Broker, BrokerRefusedError, BrokerUnavailableError

place = Broker.place


async def _place(broker: Broker, order: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return await place(broker, order)
    except BrokerUnavailableError:
        try:
            return await broker._read(f"/orders/@{order['clientExtensions']['id']}")
        except BrokerRefusedError:
            another = {"id": str(uuid.uuid4())}
            return await place(broker, {**order, "clientExtensions": another, "tradeClientExtensions": another})


DEFECT = Defect(
    name="lookup-believed-once",
    title="A look-up believed once",
    origin="hootnot/oanda-api-v20#204",
    gate=2,
    rules=("exposure",),
    replaces=(Replacement(Broker, "place", _place),),
    steps=(
        fault("stale_lookup", path="/orders/", age_ms=2000, times=1),
        fault("accepted_not_answered", times=1),
        ask("open"),
    ),
    scenarios=("network_drop_during_order",),
    begin_at=("stale look-up (age_ms 500) at broker: POST orders",),
)
