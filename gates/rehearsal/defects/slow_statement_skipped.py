"""A booking that took longer than the statement or lock timeout is not done again; the desk goes on with the next.

Origin: polaris#5263: a failure that may be repeated is treated as a definite one.
Caught by gate 2: an order in doubt for ever, as its fill was never booked.
"""

from psycopg.errors import LockNotAvailable, QueryCanceled

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.defects.holding import fail_once, let_go
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, skipping
from gates.rehearsal.desk.following import Follower

DEFECT = Defect(
    name="slow-statement-skipped",
    title="A statement that timed out is not retried",
    origin="polaris#5263",
    gate=2,
    by_hand=("broker trade without position",),
    rules=("order in doubt",),
    replaces=(Replacement(Follower, "_book_one", skipping(QueryCanceled, LockNotAvailable)), NO_BALANCE_GUARD),
    steps=(fail_once("wartest.executions", "57014"), ask("open"), let_go("wartest.executions"), ask("open")),
    scenarios=("slow_database_queries",),
    operations=("open",),
    begin_at=("lock held (lock_ms 6000) at ledger: INSERT INTO wartest.executions",),
)
