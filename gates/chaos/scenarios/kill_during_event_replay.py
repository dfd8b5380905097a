"""Scenario 6: the target is killed at every message of an event replay."""

from gates.chaos.scenarios.scenario import KILLS, Scenario

KILL_DURING_EVENT_REPLAY = Scenario(
    name="kill_during_event_replay",
    title="Kill during event replay",
    operations=("replay",),
    aims=KILLS,
)
