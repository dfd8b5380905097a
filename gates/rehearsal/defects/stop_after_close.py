"""Stops are set again on a trade that is closed, and with them the position comes back to life in the books.

Origin: freqtrade PR#2799 and #7606, stops recreated on closed trades.
Caught by gate 3: a position is open that the broker has closed, and its executions do not add up to it.
"""

from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.desk.database import Row
from gates.rehearsal.desk.trading import Trader

close_position = Trader.close_position


async def _close_position(
    trader: Trader, position: Row, *, units: Decimal | None = None, key: str | None = None
) -> Row:
    order = await close_position(trader, position, units=units, key=key)
    async with trader.follower.database.transaction() as connection:
        await connection.execute(
            """UPDATE wartest.positions SET status = 'open', units_open = %s, closed_at = NULL, close_reason = NULL
               WHERE position_id = %s AND status = 'closed'""",
            (position["units_open"], position["position_id"]),
        )
    return order


DEFECT = Defect(
    name="stop-after-close",
    title="Stops set again on a closed trade",
    origin="freqtrade PR#2799, #7606",
    gate=3,
    rules=("position without broker trade", "units of executions"),
    replaces=(Replacement(Trader, "close_position", _close_position),),
    steps=(ask("open"), ask("close")),
)
