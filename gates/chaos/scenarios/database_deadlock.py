"""Scenario 11: a real deadlock in which the target is the victim, SQLSTATE 40P01 seen on the wire."""

from gates.chaos.messages import Channel, Strike
from gates.chaos.scenarios.scenario import Aim, Scenario, both, on, requests, writes

DATABASE_DEADLOCK = Scenario(
    name="database_deadlock",
    title="Database deadlock",
    operations=("open", "close", "margin_update"),
    aims=(Aim(Strike.DEADLOCK, on(Channel.LEDGER, both(requests, writes))),),
)
