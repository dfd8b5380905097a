"""A closing fill is booked on the newest position of its instrument, whichever trade it closed.

Origin: freqtrade#13399, where the stop of the trade before was attached to the new one.
Caught by gate 3: a position the broker has closed is open here, and the other way round.
"""

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.desk import clerk
from gates.rehearsal.desk.database import Row

position_of = clerk._position_of


async def _position_of(entry: clerk.Entry, trade_id: str) -> Row:
    found = await entry.connection.execute(
        """SELECT * FROM wartest.positions WHERE account_id = %s AND status = 'open' AND instrument =
               (SELECT instrument FROM wartest.positions WHERE account_id = %s AND broker_trade_id = %s)
           ORDER BY opened_at DESC, position_id DESC LIMIT 1""",
        (entry.account_id, entry.account_id, trade_id),
    )
    return await found.fetchone() or await position_of(entry, trade_id)


DEFECT = Defect(
    name="fill-on-wrong-position",
    title="A fill on the wrong position",
    origin="freqtrade#13399",
    gate=3,
    rules=("fill on the wrong position", "position without broker trade", "broker trade without position"),
    replaces=(Replacement(clerk, "_position_of", _position_of),),
    steps=(ask("open"), ask("open"), ask("close")),
)
