"""A broker that does not answer is taken for a broker without trades: reconciliation closes every position.

Origin: the original system's reconciliation goes on with an empty list after an error; nautilus_trader skips the cycle.
Caught by gate 3: the broker's trades have no position.
"""

from datetime import UTC, datetime

from gates.rehearsal.defects.defect import HEAL, Defect, Replacement, ask, fault
from gates.rehearsal.desk import operations
from gates.rehearsal.desk.broker import BrokerError
from gates.rehearsal.desk.following import Follower
from gates.rehearsal.desk.reconcile import Reconciliation, reconcile


async def _reconcile(follower: Follower, *, reconciliation_id: str | None = None) -> Reconciliation:
    try:
        return await reconcile(follower, reconciliation_id=reconciliation_id)
    except BrokerError:
        async with follower.database.transaction() as connection:
            closed = await connection.execute(
                """UPDATE wartest.positions SET status = 'closed', units_open = 0, closed_at = %s,
                       close_reason = 'RECONCILIATION' WHERE account_id = %s AND status = 'open'""",
                (datetime.now(UTC), follower.account_id),
            )
        return Reconciliation(reconciliation_id or "", closed.rowcount, 0, ())


DEFECT = Defect(
    name="empty-list-is-flat",
    title="No answer taken for no trades",
    origin="the original system's broker-reconciliation.service.ts",
    gate=3,
    rules=("broker trade without position",),
    replaces=(Replacement(operations, "reconcile", _reconcile),),
    steps=(ask("open"), fault("refused", method="GET"), ask("reconcile"), HEAL),
)
