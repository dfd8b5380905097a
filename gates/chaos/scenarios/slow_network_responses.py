"""Scenario 9: the broker's replies come late, below and beyond the client's timeout; connections stall or stay half
open.

A proxy keeps no connection of its own behind one of the target's, so half open is what the target sees of it: the
broker has answered, nothing comes, and nobody hangs up but the target, which must within the limit of a recovery.
"""

from gates.chaos.messages import Channel, Strike
from gates.chaos.scenarios.scenario import Aim, Scenario, answers, on, requests
from gates.chaos.timeouts import Timeouts, beyond_ms

HALF_OPEN_MS = 60_000  # as long as a recovery may take; over as soon as the target hangs up


def slow_network_responses(timeouts: Timeouts) -> Scenario:
    """The scenario for a target of these timeouts; 1 s and 4 s around the bundled desk's 3 s."""
    below_ms, longer_ms = timeouts.broker_ms // 3, beyond_ms(timeouts.broker_ms)
    return Scenario(
        name="slow_network_responses",
        title="Slow network responses",
        operations=("open", "close"),
        aims=(
            Aim(Strike.DELAY, on(Channel.BROKER, answers), {"delay_ms": below_ms}),
            Aim(Strike.DELAY, on(Channel.BROKER, answers), {"delay_ms": longer_ms}),
            Aim(Strike.STALL, on(Channel.BROKER, requests), {"stall_ms": longer_ms}),
            Aim(Strike.STALL, on(Channel.BROKER, answers), {"stall_ms": HALF_OPEN_MS}),
        ),
    )
