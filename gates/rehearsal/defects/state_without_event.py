"""A margin update changes the position, but leaves no event.

Origin: the original system updates a balance before, and sometimes without, its event.
Caught by gate 3: the state rebuilt from the events is another.
"""

from datetime import datetime
from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask, tick
from gates.rehearsal.desk import operations
from gates.rehearsal.desk.database import Connection, Row


async def _update_margin(connection: Connection, position: Row, margin: Decimal, _asked_at: datetime) -> None:
    await connection.execute(
        "UPDATE wartest.positions SET margin_used = %s WHERE position_id = %s", (margin, position["position_id"])
    )


DEFECT = Defect(
    name="state-without-event",
    title="State changes without an event",
    origin="the original system's balance updates",
    gate=3,
    rules=("margin from events",),
    replaces=(Replacement(operations, "_update_margin", _update_margin),),
    steps=(ask("open", units="100000"), tick("EUR_USD", "1.10020", "1.10030"), ask("margin_update")),
)
