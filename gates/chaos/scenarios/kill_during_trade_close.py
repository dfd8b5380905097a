"""Scenario 2: the target is killed at every message of a trade close."""

from gates.chaos.scenarios.scenario import KILLS, Scenario

KILL_DURING_TRADE_CLOSE = Scenario(
    name="kill_during_trade_close",
    title="Kill during trade close",
    operations=("close",),
    aims=KILLS,
)
