"""A strike's recovery stands for another's only where both have left the same state, noise and all."""

from types import SimpleNamespace

from audits.verdicts import Verdict
from gates.chaos.engine.memory import Memory
from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.trying import Judged


def test_states_that_are_alike_but_for_noise_share_their_second_strikes_and_no_verdict():
    memory = Memory()
    first, second = (
        SimpleNamespace(pk=number, scenario_id=1, operation="open", then_point="", half_open=False) for number in (1, 2)
    )
    assert memory.takes(first, "alike")
    memory.keep(first, Result(Verdict.PASSED, after_kill="alike", exact="one"))
    assert not memory.takes(second, "alike")
    assert memory.judged(second) == {"one": Judged(1, Verdict.PASSED, "")}
