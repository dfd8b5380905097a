"""Scenario 12: each statement is slow, below and beyond its timeout; another hand locks the ledger's tables."""

from gates.chaos.messages import Channel, Strike
from gates.chaos.scenarios.scenario import EVERY_OPERATION, Aim, Scenario, both, on, requests, writes

BELOW_MS, BEYOND_MS = 500, 11_000  # around a client's own limit of 10 s for a transaction
LOCK_MS, LONG_LOCK_MS = 1_000, 6_000  # around a lock_timeout of 4 s

SLOW_DATABASE_QUERIES = Scenario(
    name="slow_database_queries",
    title="Slow database queries",
    operations=EVERY_OPERATION,
    aims=(
        Aim(Strike.DELAY, on(Channel.LEDGER, requests), {"delay_ms": BELOW_MS}),
        Aim(Strike.DELAY, on(Channel.LEDGER, requests), {"delay_ms": BEYOND_MS}),
        Aim(Strike.LOCK_HELD, on(Channel.LEDGER, both(requests, writes)), {"lock_ms": LOCK_MS}),
        Aim(Strike.LOCK_HELD, on(Channel.LEDGER, both(requests, writes)), {"lock_ms": LONG_LOCK_MS}),
    ),
)
