"""At its start the desk sends every order that was in doubt again, with a new id.

Origin: nautilus_trader#3176: duplicate orders on every restart.
Caught by gate 2: twice the units, at a kill after the order was sent and before its fill was booked.
"""

import uuid
from decimal import Decimal

from gates.rehearsal.defects.defect import HEAL, START, Defect, Replacement, Step, fault
from gates.rehearsal.desk.following import Follower
from gates.rehearsal.desk.orders import Intent
from gates.rehearsal.desk.trading import Protection, market_order

begin = Follower.begin
IN_DOUBT = """SELECT instrument, units FROM wartest.orders LEFT JOIN desk.closings USING (order_id)
    WHERE account_id = %s AND status = 'pending' AND broker_trade_id IS NULL"""


async def _begin(follower: Follower) -> None:
    await begin(follower)
    async with follower.database.transaction() as connection:
        doubtful = await (await connection.execute(IN_DOUBT, (follower.account_id,))).fetchall()
        await connection.execute("UPDATE wartest.orders SET status = 'cancelled' WHERE status = 'pending'")
    for order in doubtful:
        quote = await follower.broker.quote(order["instrument"])
        again = Intent(str(uuid.uuid4()), order["instrument"], order["units"])
        await follower.broker.place(market_order(again, quote, Protection(Decimal(4), Decimal(4))))


DEFECT = Defect(
    name="recovery-sends-again",
    title="Recovery sends again, with a new id",
    origin="nautilus_trader#3176",
    gate=2,
    rules=("exposure",),
    replaces=(Replacement(Follower, "begin", _begin),),
    steps=(fault("refused", method="GET", path="/sinceid"), Step("killed_ask", "open"), HEAL, START),
    scenarios=("kill_during_trade_open",),
    begin_at=("kill after at broker: POST orders answered",),
)
