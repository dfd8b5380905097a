"""An order that never reached the broker is never given up: it stays in doubt.

Origin: freqtrade#8913: an order open in the books that no exchange knows.
Caught by gate 2: an order in doubt after the recovery, at a kill or a lost request before it was sent.
"""

from gates.rehearsal.defects.defect import START, Defect, Replacement, Step, fault
from gates.rehearsal.desk.following import Follower


async def _resolve_doubts(_follower: Follower) -> None:
    """Hopes."""


DEFECT = Defect(
    name="doubt-for-ever",
    title="An order in doubt for ever",
    origin="freqtrade#8913",
    gate=2,
    by_hand=("order stuck",),
    rules=("order in doubt",),
    replaces=(Replacement(Follower, "resolve_doubts", _resolve_doubts),),
    steps=(fault("refused", method="POST", times=1), Step("killed_ask", "open"), START),
    scenarios=("kill_during_trade_open", "network_drop_during_order"),
    begin_at=("kill before at ledger: COMMIT",),
)
