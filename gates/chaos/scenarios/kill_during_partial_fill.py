"""Scenario 3: the target is killed at every message of a partial fill."""

from gates.chaos.scenarios.scenario import KILLS, Scenario

KILL_DURING_PARTIAL_FILL = Scenario(
    name="kill_during_partial_fill",
    title="Kill during partial fill",
    operations=("partial_fill",),
    aims=KILLS,
)
