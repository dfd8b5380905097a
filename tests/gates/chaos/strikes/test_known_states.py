"""A state that is known stands for another strike's recovery, and never for what a caller was told."""

import asyncio
from dataclasses import replace

from gates.chaos.messages import Strike
from gates.chaos.strikes.clean_runs import record_clean
from gates.chaos.strikes.recovery import ACKNOWLEDGED
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import Judged, try_once
from gates.chaos.trials import Trial
from tests.gates.chaos.desk import running_desk


async def killed_twice(spec, folder):
    """Two kills before the first message of `open`, the second of a desk that had told its caller that it was done, as
    one that answers before it commits; beside the state that the first left.
    """
    async with running_desk(spec, folder) as cell:
        clean_run = await record_clean(cell, "open")
        trial = Trial("open", clean_run.baseline.points[0].point, Strike.KILL_BEFORE)
        first = await try_once(cell, trial, clean_run.clean, Unwritten())
        known = {first.exact: Judged(1, first.verdict, first.reason)}
        again = await try_once(cell, trial, clean_run.clean, Unwritten(), known)
        ask = cell.ask

        async def told_at_once(operation):
            return replace(await ask(operation), status=201, body={"status": "filled"})

        cell.ask = told_at_once
        return first, again, await try_once(cell, trial, clean_run.clean, Unwritten(), known)


def test_what_was_acknowledged_is_followed_though_another_kill_left_the_same_state(desk_target, tmp_path):
    first, again, told = asyncio.run(killed_twice(desk_target.spec, tmp_path))
    assert (first.verdict, first.same_as) == ("passed", None)
    assert (again.verdict, again.same_as) == ("passed", 1)
    assert told.after_kill == first.after_kill
    assert (told.verdict, told.same_as) == ("failed", None)
    assert [found.rule for found in told.findings] == ["acknowledged and lost"]
    assert told.exact == first.exact + ACKNOWLEDGED
