"""Event numbers come from a counter that leaves gaps, so that nobody can tell a gap from a lost event.

Origin: a sequence of PostgreSQL is not rolled back with its transaction.
Caught by gate 3: numbers must be gapless from 1.
"""

from datetime import datetime

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.desk import ledger
from gates.rehearsal.desk.database import Connection

append_position_event = ledger.append_position_event


async def _append_position_event(connection: Connection, event: ledger.PositionEvent, *, now: datetime) -> None:
    await append_position_event(connection, event, now=now)
    if event.event_type == "MARGIN_RESERVED":
        await connection.execute(
            "UPDATE wartest.position_events SET sequence = sequence + 1 WHERE idempotency_key = %s",
            (event.idempotency_key,),
        )


DEFECT = Defect(
    name="sequence-gap",
    title="A gap in the event numbers",
    origin="sequences of PostgreSQL",
    gate=3,
    rules=("numbers missing",),
    replaces=(Replacement(ledger, "append_position_event", _append_position_event),),
    steps=(ask("open"),),
)
