"""Scenario 7: the network drops during an order; the broker may have accepted it, and may not show it yet."""

from gates.chaos.messages import Channel, Strike
from gates.chaos.scenarios.scenario import Aim, Scenario, answers, on, requests, writes

STALE_MS = 500  # an accepted order was seen to be unknown to look-ups for 0.25 to 0.5 s (oanda-api-v20#204)

DROPS = (
    Aim(Strike.LOSE_REQUEST, on(Channel.BROKER, requests)),
    Aim(Strike.LOSE_ANSWER, on(Channel.BROKER, answers)),
    Aim(Strike.STALE_LOOKUP, on(Channel.BROKER, writes), {"age_ms": STALE_MS}),
)

NETWORK_DROP_DURING_ORDER = Scenario(
    name="network_drop_during_order",
    title="Network drop during order",
    operations=("open",),
    aims=DROPS,
)
