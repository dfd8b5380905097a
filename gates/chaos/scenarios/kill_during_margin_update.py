"""Scenario 4: the target is killed at every message of a margin update."""

from gates.chaos.scenarios.scenario import KILLS, Scenario

KILL_DURING_MARGIN_UPDATE = Scenario(
    name="kill_during_margin_update",
    title="Kill during margin update",
    operations=("margin_update",),
    aims=KILLS,
)
