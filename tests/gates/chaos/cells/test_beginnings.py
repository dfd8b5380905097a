"""What meets positions is struck from two of them, or from one where the target says that it holds no more."""

import asyncio
from types import SimpleNamespace

import pytest

from gates.chaos.cells.beginnings import FLAT, HOLDING, begin
from gates.chaos.cells.target import Answer, TargetNotReadyError
from gates.targets.asks import Ask

DONE = Answer(200, {}, 1.0)
BY_HTTP, BY_COMMAND = Ask(post="http://127.0.0.1:1/"), Ask(command=("desk", "open"))


def begun(state, *answers, ask=BY_HTTP):
    """What a target that answers so was asked for on the way to a state."""
    asked, answering = [], iter(answers)

    async def answer(operation):
        asked.append(operation)
        return next(answering)

    program = SimpleNamespace(operations={"open": ask, "close": ask})
    asyncio.run(begin(SimpleNamespace(ask=answer, program=program), state))
    return asked


def test_two_positions_are_opened_to_begin_with():
    assert begun(HOLDING, DONE, DONE) == ["open", "open"]


@pytest.mark.parametrize(("ask", "status"), [(BY_HTTP, 409), (BY_HTTP, 422), (BY_COMMAND, 500)])
def test_a_target_of_one_position_at_a_time_may_refuse_the_second(ask, status):
    assert begun(HOLDING, DONE, Answer(status, {}, 1.0), ask=ask) == ["open", "open"]


@pytest.mark.parametrize("status", [None, 408, 429, 500, 503])
def test_a_second_open_that_may_still_be_done_is_no_refusal(status):
    with pytest.raises(TargetNotReadyError, match=r"could not open a second time to begin with: .* says so by a 4xx"):
        begun(HOLDING, DONE, Answer(status, {}, 1.0))


@pytest.mark.parametrize(("state", "before"), [(HOLDING, ()), (FLAT, ()), (FLAT, (DONE,))])
def test_what_is_asked_for_once_may_not_be_refused(state, before):
    with pytest.raises(TargetNotReadyError, match="to begin with: 409"):
        begun(state, *before, Answer(409, {}, 1.0))
