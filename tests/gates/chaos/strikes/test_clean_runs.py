"""A clean run is over when the operation has answered."""

import asyncio

import pytest

from gates.chaos.cells.target import Answer
from gates.chaos.strikes.clean_runs import NotSteadyError, record_clean
from tests.gates.chaos.desk import running_desk


async def answering_too_early(spec, folder):
    """The clean run of an open of which most is done once it has answered that it was."""
    async with running_desk(spec, folder) as cell:
        ask, state, waiting = cell.ask, cell.state, []

        async def at_once(operation):
            waiting.append(operation)
            return Answer(200, {}, 1.0)

        async def and_then():
            found = await state()
            if waiting:
                assert (await ask(waiting.pop())).success
            return found

        cell.ask, cell.state = at_once, and_then
        await record_clean(cell, "open")


def test_what_an_operation_does_after_its_answer_makes_it_no_clean_run(desk_target, tmp_path):
    with pytest.raises(NotSteadyError, match=r"open goes on after its answer: .* changed .*orders.*broker"):
        asyncio.run(answering_too_early(desk_target.spec, tmp_path))
