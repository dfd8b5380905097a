"""Scenario 8: the network drops during a close."""

from gates.chaos.scenarios.network_drop_during_order import DROPS
from gates.chaos.scenarios.scenario import Scenario

NETWORK_DROP_DURING_CLOSE = Scenario(
    name="network_drop_during_close",
    title="Network drop during close",
    operations=("close",),
    aims=DROPS,
)
