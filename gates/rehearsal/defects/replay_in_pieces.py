"""A replay first empties the state, then writes what the events amount to.

Origin: hand-made; whatever empties before it fills has a moment at which nothing is there.
Caught by gate 2: a kill between both leaves positions without their PnL and margin.
"""

from gates.rehearsal.defects.defect import START, Defect, Replacement, Step, ask
from gates.rehearsal.defects.holding import hold, let_go
from gates.rehearsal.desk import operations
from gates.rehearsal.desk.database import Database
from gates.rehearsal.desk.replay import Replay, replay


async def _replay(database: Database, account_id: str, *, replay_id: str | None = None) -> Replay:
    async with database.transaction() as connection:
        found = await connection.execute(
            """UPDATE wartest.positions AS emptied SET realized_pnl = 0, margin_used = 0
               FROM wartest.positions AS before
               WHERE emptied.position_id = before.position_id AND emptied.account_id = %s
               RETURNING before.realized_pnl, before.margin_used, before.position_id""",
            (account_id,),
        )
        known = [tuple(row.values()) for row in await found.fetchall()]
    async with database.transaction() as connection, connection.cursor() as cursor:
        again = "UPDATE wartest.positions SET realized_pnl = %s, margin_used = %s WHERE position_id = %s"
        await cursor.executemany(again, known)
    return await replay(database, account_id, replay_id=replay_id)


DEFECT = Defect(
    name="replay-in-pieces",
    title="A replay in two transactions",
    gate=2,
    by_hand=("profit from events",),
    rules=("margin from events",),
    replaces=(Replacement(operations, "replay", _replay),),
    steps=(
        ask("open"),
        ask("close"),
        hold("wartest.positions", "NEW.realized_pnl <> 0"),
        Step("killed_ask", "replay"),
        let_go("wartest.positions"),
        START,
    ),
    scenarios=("kill_during_event_replay",),
    begin_at=("kill after at ledger: COMMIT",),
)
