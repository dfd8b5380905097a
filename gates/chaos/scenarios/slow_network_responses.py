"""Scenario 9: the broker's replies come late, below and beyond a client's timeout; connections stall or stay half open.

A proxy keeps no connection of its own behind one of the target's, so half open is what the target sees of it: the
broker has answered, nothing comes, and nobody hangs up but the target, which must within the limit of a recovery.
"""

from gates.chaos.messages import Channel, Strike
from gates.chaos.scenarios.scenario import Aim, Scenario, answers, on, requests

BELOW_MS, BEYOND_MS = 1_000, 4_000  # around a client's timeout of 3 s
STALL_MS = 4_000
HALF_OPEN_MS = 60_000  # as long as a recovery may take; over as soon as the target hangs up

SLOW_NETWORK_RESPONSES = Scenario(
    name="slow_network_responses",
    title="Slow network responses",
    operations=("open", "close"),
    aims=(
        Aim(Strike.DELAY, on(Channel.BROKER, answers), {"delay_ms": BELOW_MS}),
        Aim(Strike.DELAY, on(Channel.BROKER, answers), {"delay_ms": BEYOND_MS}),
        Aim(Strike.STALL, on(Channel.BROKER, requests), {"stall_ms": STALL_MS}),
        Aim(Strike.STALL, on(Channel.BROKER, answers), {"stall_ms": HALF_OPEN_MS}),
    ),
)
