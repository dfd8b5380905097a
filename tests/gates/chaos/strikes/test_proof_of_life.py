"""A target whose books are right after a strike, and that trades no more, has not recovered."""

import asyncio

import pytest

from gates.chaos.cells.target import Answer
from gates.chaos.messages import Strike
from gates.chaos.strikes.clean_runs import record_clean
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_once
from gates.chaos.trials import Trial
from tests.gates.chaos.desk import running_desk

REFUSED = Answer(503, {"error": "trading is halted"}, 1.0)
SAID_ONLY = Answer(200, {}, 1.0)


async def struck(spec, folder, answers):
    """A kill before a replay, after which the desk answers these operations so, and does nothing."""
    async with running_desk(spec, folder) as cell:
        clean_run = await record_clean(cell, "replay")
        ask = cell.ask

        async def asked(operation):
            return answers[operation] if operation in answers else await ask(operation)

        cell.ask = asked
        trial = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_BEFORE)
        return await try_once(cell, trial, clean_run.clean, Unwritten())


@pytest.mark.parametrize(
    ("answers", "expected", "measured"),
    [
        ({"open": REFUSED}, "open is done", "trading is halted"),
        ({"close": SAID_ONLY}, "1 order of close filled", "0 were"),
    ],
)
def test_a_strike_after_which_the_target_trades_no_more_fails(desk_target, tmp_path, answers, expected, measured):
    result = asyncio.run(struck(desk_target.spec, tmp_path, answers))
    assert (result.verdict, result.end, result.receipt["proof"]["signal"]) == ("failed", "done", "SIGKILL")
    (found,) = result.findings
    assert (found.rule, found.level, found.expected) == ("proof of life", "critical", expected)
    assert measured in found.measured
