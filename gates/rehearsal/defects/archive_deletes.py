"""Closed positions are archived by deleting them; their events go with them.

Origin: the original system's position_events are deleted with their position (ON DELETE CASCADE).
Caught by gate 3: executions and balance events of positions that are gone.
"""

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.defects.loosened import schema_without
from gates.rehearsal.desk import operations
from gates.rehearsal.desk.following import Follower
from gates.rehearsal.desk.reconcile import Reconciliation, reconcile

REFERENCE = "REFERENCES wartest.positions"


async def _reconcile_and_archive(follower: Follower, *, reconciliation_id: str | None = None) -> Reconciliation:
    result = await reconcile(follower, reconciliation_id=reconciliation_id)
    async with follower.database.transaction() as connection:
        closed = "(SELECT position_id FROM wartest.positions WHERE status = 'closed')"
        await connection.execute(f"DELETE FROM wartest.position_events WHERE position_id IN {closed}".encode())  # noqa: S608
        await connection.execute("DELETE FROM wartest.positions WHERE status = 'closed'")
    return result


DEFECT = Defect(
    name="archive-deletes",
    title="An archive that deletes",
    origin="the original system's ON DELETE CASCADE",
    gate=3,
    rules=("execution without position", "balance event without position"),
    replaces=(Replacement(operations, "reconcile", _reconcile_and_archive), schema_without(REFERENCE)),
    steps=(ask("open"), ask("close"), ask("reconcile")),
)
