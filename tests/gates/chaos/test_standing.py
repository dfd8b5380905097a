"""What the rows of a scenario say of the durable states that its kills left."""

from gates.chaos.standing import durable_states
from tests.gates.chaos.runs import REPLAY, started

KILL = {"point": "ledger:request:1:BEGIN", "label": "ledger: BEGIN", "position": 0, "strike": "kill before"}


def test_recoveries_from_one_state_that_came_to_different_verdicts_are_counted(desk_target):
    scenario = started(desk_target, REPLAY).scenarios.get()

    def kill(number, state, verdict, operation="replay", **fields):
        said = {"receipt": {}, "phase": "done", "state_after_kill": state, "verdict": verdict, "operation": operation}
        return scenario.crash_points.create(number=number, **KILL | said | fields)

    first = kill(1, "a", "passed")
    kill(2, "b", "passed")
    kill(3, "b", "passed")
    kill(4, "a", "failed", operation="open")  # what another operation left is another state
    kill(5, "a", "failed", same_as=first)  # nobody followed it
    kill(6, "a", "failed", half_open=True)
    assert durable_states(scenario) == {"kills": 6, "followed": 4, "states": 3, "verdicts_differ": 0, "silent": 0}
    kill(7, "a", "failed")
    assert durable_states(scenario) == {"kills": 7, "followed": 5, "states": 3, "verdicts_differ": 1, "silent": 0}
