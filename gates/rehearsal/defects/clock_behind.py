"""The desk's clock is an hour slow: events are recorded before they happened.

Origin: hand-made; a local time taken for UTC does the same twice a year.
Caught by gate 3: recorded before it occurred.
"""

from datetime import datetime, timedelta

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.desk import ledger
from gates.rehearsal.desk.database import Connection

append_position_event = ledger.append_position_event


async def _append_position_event(connection: Connection, event: ledger.PositionEvent, *, now: datetime) -> None:
    await append_position_event(connection, event, now=now - timedelta(hours=1))


DEFECT = Defect(
    name="clock-behind",
    title="Recorded before it happened",
    gate=3,
    rules=("recorded before it occurred",),
    replaces=(Replacement(ledger, "append_position_event", _append_position_event),),
    steps=(ask("open"),),
)
