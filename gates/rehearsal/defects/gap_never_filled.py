"""After an outage the desk goes on from now: what happened while it was away is never fetched.

Origin: Lean.Brokerages.InteractiveBrokers#249 and TradeStation#101, fills in the window of a disconnect.
Caught by gate 3: a position whose stop closed it meanwhile is open for ever.
"""

from gates.rehearsal.defects.defect import KILL, START, Defect, Replacement, ask, tick
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD
from gates.rehearsal.desk import ledger
from gates.rehearsal.desk.following import Follower

begin = Follower.begin


async def _begin(follower: Follower) -> None:
    await begin(follower)
    async with follower.database.transaction() as connection:
        known = await ledger.lock_cursor(connection, follower.account_id)
        page = await follower.broker.transactions_since(known)
        if known:
            await ledger.move_cursor(connection, follower.account_id, page.last_transaction_id)


DEFECT = Defect(
    name="gap-never-filled",
    title="A gap in the stream is never filled",
    origin="Lean.Brokerages.InteractiveBrokers#249",
    gate=3,
    rules=("position without broker trade", "broker balance"),
    replaces=(Replacement(Follower, "begin", _begin), NO_BALANCE_GUARD),
    steps=(ask("open"), KILL, tick("EUR_USD", "1.00000", "1.00010"), START, ask("open")),
)
