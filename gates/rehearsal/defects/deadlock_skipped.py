"""A booking that was the victim of a deadlock is not done again; the desk goes on with the next.

Origin: hand-made after PostgreSQL's advice: whoever takes locks must be ready to repeat a transaction (40P01).
Caught by gate 2: an order in doubt for ever, as its fill was never booked.
"""

from psycopg.errors import DeadlockDetected

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.defects.holding import fail_once, let_go
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, skipping
from gates.rehearsal.desk.following import Follower

DEFECT = Defect(
    name="deadlock-skipped",
    title="A deadlock is not retried",
    gate=2,
    by_hand=("broker trade without position",),
    rules=("order in doubt",),
    replaces=(Replacement(Follower, "_book_one", skipping(DeadlockDetected)), NO_BALANCE_GUARD),
    steps=(fail_once("wartest.executions", "40P01"), ask("open"), let_go("wartest.executions"), ask("open")),
    scenarios=("database_deadlock",),
    operations=("open",),
    begin_at=("deadlock at ledger: INSERT INTO wartest.executions",),
)
