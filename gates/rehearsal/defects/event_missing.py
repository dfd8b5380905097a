"""The event that releases the margin of a closed position is never written.

Origin: the original system's tables reject that type of event, which its own audit requires.
Caught by gate 3: a closed position without MARGIN_RELEASED.
"""

from datetime import datetime

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.desk import ledger
from gates.rehearsal.desk.database import Connection

append_position_event = ledger.append_position_event


async def _append_position_event(connection: Connection, event: ledger.PositionEvent, *, now: datetime) -> None:
    if event.event_type != "MARGIN_RELEASED":
        await append_position_event(connection, event, now=now)


DEFECT = Defect(
    name="event-missing",
    title="A required event is missing",
    origin="the original system's position_events",
    gate=3,
    rules=("event missing",),
    replaces=(Replacement(ledger, "append_position_event", _append_position_event),),
    steps=(ask("open"), ask("close")),
)
