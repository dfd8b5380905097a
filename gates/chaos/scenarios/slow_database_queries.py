"""Scenario 12: each statement is slow, below and beyond its timeout; another hand locks the ledger's tables."""

from gates.chaos.messages import Channel, Strike
from gates.chaos.scenarios.scenario import EVERY_OPERATION, Aim, Scenario, both, on, requests, writes
from gates.chaos.timeouts import Timeouts, beyond_ms

LOCK_MORE_MS = 2_000  # a lock is waited for only from when its statement is planned


def slow_database_queries(timeouts: Timeouts) -> Scenario:
    """The scenario for a target of these timeouts; of the bundled desk 0.5 s and 11 s around the 10 s of a transaction,
    1 s and 6 s around a lock_timeout of 4 s.
    """
    locking = on(Channel.LEDGER, both(requests, writes))
    return Scenario(
        name="slow_database_queries",
        title="Slow database queries",
        operations=EVERY_OPERATION,
        aims=(
            Aim(Strike.DELAY, on(Channel.LEDGER, requests), {"delay_ms": timeouts.ledger_ms // 20}),
            Aim(Strike.DELAY, on(Channel.LEDGER, requests), {"delay_ms": beyond_ms(timeouts.ledger_ms)}),
            Aim(Strike.LOCK_HELD, locking, {"lock_ms": timeouts.lock_ms // 4}),
            Aim(Strike.LOCK_HELD, locking, {"lock_ms": beyond_ms(timeouts.lock_ms, LOCK_MORE_MS)}),
        ),
    )
