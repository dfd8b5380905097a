"""Free margin is the whole equity: what is used is not taken off.

Origin: the original system's reconciliation releases the notional instead of the margin.
Caught by gate 3: margin used + margin available is not the equity.
"""

from datetime import UTC, datetime
from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.desk import following, operations, reconcile
from gates.rehearsal.desk.database import Connection

write_valuation = following.write_valuation


async def _write_valuation(connection: Connection, account_id: str, account: dict[str, Any]) -> None:
    await write_valuation(connection, account_id, account)
    await connection.execute(
        "UPDATE wartest.accounts SET margin_available = equity, updated_at = %s WHERE account_id = %s",
        (datetime.now(UTC), account_id),
    )


DEFECT = Defect(
    name="free-margin-overstated",
    title="Free margin is overstated",
    origin="the original system's reconciliation",
    gate=3,
    rules=("margin and equity",),
    replaces=tuple(
        Replacement(module, "write_valuation", _write_valuation) for module in (following, operations, reconcile)
    ),
    steps=(ask("open"), ask("margin_update")),
)
