"""Reconciliation first closes every position, then opens again those that the broker has.

Origin: hand-made, after nautilus_trader#4736: only the outcome is that one's, a restart that believes itself flat.
Caught by gate 2: a kill between both leaves the broker's trades without their positions.
"""

from gates.rehearsal.defects.defect import START, Defect, Replacement, Step, ask
from gates.rehearsal.defects.holding import hold, let_go
from gates.rehearsal.desk import operations
from gates.rehearsal.desk.following import Follower
from gates.rehearsal.desk.reconcile import Reconciliation, reconcile


async def _reconcile(follower: Follower, *, reconciliation_id: str | None = None) -> Reconciliation:
    async with follower.level_with() as (account, _):
        async with follower.database.transaction() as connection:
            closed = await connection.execute(
                """UPDATE wartest.positions SET status = 'closed', units_open = 0, closed_at = now()
                   WHERE account_id = %s AND status = 'open' RETURNING position_id, broker_trade_id""",
                (follower.account_id,),
            )
            ours = {row["broker_trade_id"]: row["position_id"] for row in await closed.fetchall()}
        async with follower.database.transaction() as connection:
            for trade in account.get("trades", ()):
                await connection.execute(
                    """UPDATE wartest.positions SET status = 'open', units_open = %s, closed_at = NULL
                       WHERE position_id = %s""",
                    (trade["currentUnits"], ours.get(str(trade["id"]))),
                )
    return await reconcile(follower, reconciliation_id=reconciliation_id)


DEFECT = Defect(
    name="reconcile-in-pieces",
    title="Reconciliation in two transactions",
    gate=2,
    by_hand=("broker trade without position",),
    rules=("broker trade without position",),
    replaces=(Replacement(operations, "reconcile", _reconcile),),
    steps=(
        ask("open"),
        hold("wartest.positions", "NEW.status = 'open' AND OLD.status = 'closed'"),
        Step("killed_ask", "reconcile"),
        let_go("wartest.positions"),
        START,
    ),
    scenarios=("kill_during_reconciliation",),
    begin_at=("kill after at ledger: COMMIT",),
)
