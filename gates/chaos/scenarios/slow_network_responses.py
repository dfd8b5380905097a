"""Scenario 9: the broker's replies come late, below and beyond a client's timeout; connections stall or half open."""

from gates.chaos.messages import Channel, Strike
from gates.chaos.scenarios.scenario import Aim, Scenario, answers, on, requests

BELOW_MS, BEYOND_MS = 1_000, 4_000  # around a client's timeout of 3 s
STALL_MS = 4_000

SLOW_NETWORK_RESPONSES = Scenario(
    name="slow_network_responses",
    title="Slow network responses",
    operations=("open", "close"),
    aims=(
        Aim(Strike.DELAY, on(Channel.BROKER, answers), {"delay_ms": BELOW_MS}),
        Aim(Strike.DELAY, on(Channel.BROKER, answers), {"delay_ms": BEYOND_MS}),
        Aim(Strike.STALL, on(Channel.BROKER, requests), {"stall_ms": STALL_MS}),
        Aim(Strike.HALF_OPEN, on(Channel.BROKER, requests), {"keep_ms": STALL_MS}),
    ),
)
