"""The floor of the benchmark of chaos is made of work that was done."""

import asyncio
from types import SimpleNamespace
from unittest.mock import AsyncMock, Mock

import pytest

from gates.chaos.cells.target import Answer
from wartest_site.benchmarks.chaos import _alone
from wartest_site.embedded.children import CannotStartError

OPERATIONS = ["open", "open", "close"]


class Desk:
    """A desk that does what it is asked for until the operation of this number fails."""

    def __init__(self, fails_at=None):
        self.asked = []
        self.fails_at = fails_at
        self.start = Mock()
        self.wait_ready, self.kill, self.end = AsyncMock(), AsyncMock(), AsyncMock()

    async def ask(self, operation):
        self.asked.append(operation)
        done = len(self.asked) != self.fails_at
        return Answer(200 if done else 500, {"success": done}, 1.0)


def alone(desk, rounds=1):
    premises = SimpleNamespace(simulator=AsyncMock(), program=Mock())
    asyncio.run(_alone(premises, desk, "account", [{}] * rounds))


def test_a_desk_of_the_floor_opens_and_after_its_death_opens_and_closes():
    desk = Desk()
    alone(desk, rounds=2)
    assert desk.asked == OPERATIONS * 2


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_floor_whose_operation_fails_is_no_floor(fails_at):
    with pytest.raises(CannotStartError, match=f"{OPERATIONS[fails_at - 1]} failed on a desk of the floor"):
        alone(Desk(fails_at))
