"""A margin update first lets the old margin go, then reserves the new, in two database transactions.

Origin: the original system updates a balance before its event.
Caught by gate 2: a kill between both leaves a state that its events do not explain.
"""

from datetime import datetime
from decimal import Decimal

from gates.rehearsal.defects.defect import START, Defect, Replacement, Step, ask, tick
from gates.rehearsal.defects.holding import hold, let_go
from gates.rehearsal.defects.loosened import commit_here
from gates.rehearsal.desk import operations
from gates.rehearsal.desk.database import Connection, Row

update_margin = operations._update_margin


async def _update_margin(connection: Connection, position: Row, margin: Decimal, asked_at: datetime) -> None:
    await connection.execute(
        "UPDATE wartest.positions SET margin_used = 0 WHERE position_id = %s", (position["position_id"],)
    )
    await commit_here(connection)
    await update_margin(connection, position, margin, asked_at)


DEFECT = Defect(
    name="margin-in-pieces",
    title="A margin update in two transactions",
    origin="the original system's balance updates",
    gate=2,
    by_hand=("margin from events",),
    rules=("margin from events",),
    replaces=(Replacement(operations, "_update_margin", _update_margin),),
    steps=(
        ask("open", units="100000"),
        tick("EUR_USD", "1.10020", "1.10030"),
        hold("wartest.position_events", "NEW.event_type = 'MARGIN_UPDATED'"),
        Step("killed_ask", "margin_update"),
        let_go("wartest.position_events"),
        START,
    ),
    scenarios=("kill_during_margin_update",),
    begin_at=("kill after at ledger: COMMIT",),
)
