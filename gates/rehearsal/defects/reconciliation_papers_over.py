"""Financing is forgotten, and each reconciliation sets the balance to the broker's without a word.

Origin: Lean#2933, where a cash sync made the equity jump without a transaction.
Caught by gate 3: opening balance and events do not add up to the balance, though it is the broker's.
"""

from gates.rehearsal.defects.defect import Defect, Replacement, ask, control
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, NO_EXPLANATION, cash_besides
from gates.rehearsal.desk import booking, operations
from gates.rehearsal.desk.following import Follower
from gates.rehearsal.desk.reconcile import Reconciliation, reconcile


async def _paper_over(follower: Follower, *, reconciliation_id: str | None = None) -> Reconciliation:
    async with follower.level_with() as (account, _), follower.database.transaction() as connection:
        await connection.execute(
            "UPDATE wartest.accounts SET balance = %s WHERE account_id = %s", (account["balance"], follower.account_id)
        )
    return await reconcile(follower, reconciliation_id=reconciliation_id)


DEFECT = Defect(
    name="reconciliation-papers-over",
    title="Reconciliation papers over a difference",
    origin="Lean#2933",
    gate=3,
    rules=("balance total",),
    replaces=(
        Replacement(operations, "reconcile", _paper_over),
        Replacement(booking, "_cash", cash_besides("FINANCING")),
        NO_BALANCE_GUARD,
        NO_EXPLANATION,
    ),
    steps=(ask("open", units="100000"), control("/financing", days=1), ask("open"), ask("reconcile")),
)
