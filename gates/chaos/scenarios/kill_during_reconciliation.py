"""Scenario 5: the target is killed at every message of a reconciliation."""

from gates.chaos.scenarios.scenario import KILLS, Scenario

KILL_DURING_RECONCILIATION = Scenario(
    name="kill_during_reconciliation",
    title="Kill during reconciliation",
    operations=("reconcile",),
    aims=KILLS,
)
