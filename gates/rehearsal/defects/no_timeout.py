"""The desk waits for its broker without a limit.

Origin: tempoxyz/tidx#14, which "hangs forever" on the other end of a dead connection.
Caught by gate 2: a reply that never comes is waited for until its connection is reset.
"""

from gates.rehearsal.defects.defect import Defect, Replacement, ask, fault
from gates.rehearsal.desk import broker

DEFECT = Defect(
    name="no-timeout",
    title="Waiting without a limit",
    origin="tempoxyz/tidx#14",
    gate=2,
    by_hand=("ledger behind the broker",),
    rules=("waited for ever",),
    replaces=(Replacement(broker, "TIMEOUT_S", None),),
    steps=(fault("late", path="/sinceid", delay_ms=40_000, times=2), ask("open")),
    scenarios=("slow_network_responses",),
    operations=("open",),
    begin_at=("stall (stall_ms 60000) at broker",),
)
