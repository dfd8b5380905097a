"""A recovery is struck in the order in which it was recorded, and only once it was recorded to its end."""

import asyncio
from dataclasses import replace

from gates.chaos.cells.cell import QUIET_S
from gates.chaos.messages import Strike
from gates.chaos.strikes.clean_runs import record_clean
from gates.chaos.strikes.recovery import RESTARTED
from gates.chaos.strikes.second_strikes import OTHER_STATE, record_recovery
from gates.chaos.strikes.settling import REST_S
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_once
from gates.chaos.trials import Trial
from tests.gates.chaos.desk import running_desk


async def struck_twice(spec, folder):
    """A kill after the replay was asked for, and one in the recovery: by its recorded order, and by another."""
    async with running_desk(spec, folder) as cell:
        clean_run = await record_clean(cell, "replay")
        first = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_AFTER)
        found = await record_recovery(cell, first, clean_run.clean)
        points, script = found.baseline.points, found.baseline.script
        place = points[len(points) // 2]
        order = script.without_openings
        then = found.then(place.point, Strike.KILL_BEFORE)
        shifted = replace(script, order=(*order[1:], order[0]))
        thens = [then, replace(then, script=shifted), replace(then, state="another")]
        return place, [await try_once(cell, replace(first, then=then), clean_run.clean, Unwritten()) for then in thens]


def test_a_second_kill_keeps_its_receipt_only_in_the_order_of_the_recovery_that_was_recorded(desk_target, tmp_path):
    place, (result, shifted, elsewhere) = asyncio.run(struck_twice(desk_target.spec, tmp_path))
    assert (result.verdict, result.receipt["then"]["message"]) == ("passed", place.label)
    assert f"→ {place.label}" in result.messages[result.messages.index(RESTARTED) :]
    assert (shifted.verdict, shifted.receipt) == ("inconclusive", None)
    assert shifted.reason.startswith("In the recovery: The wrong message was struck: message 1 since the target was")
    assert (elsewhere.verdict, elsewhere.receipt) == ("inconclusive", None)
    assert elsewhere.reason == f"In the recovery: {OTHER_STATE}"


async def recorded_while_it_only_paused(spec, folder):
    """How many recoveries are recorded where the target says after the first that it was not over."""
    async with running_desk(spec, folder) as cell:
        clean_run = await record_clean(cell, "replay")
        quiet, unwell, rests, words = cell.quiet, cell.target.unwell, [], ["it has only paused"]

        async def resting(for_s=QUIET_S):
            rests.extend([for_s] if for_s == REST_S else [])
            return await quiet(for_s)

        async def unwell_once():
            return words.pop() if rests and words else await unwell()

        cell.quiet, cell.target.unwell = resting, unwell_once
        first = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_AFTER)
        found = await record_recovery(cell, first, clean_run.clean)
        return len(rests), len(found.baseline.points)


def test_a_recovery_that_only_paused_is_recorded_again(desk_target, tmp_path):
    recorded, points = asyncio.run(recorded_while_it_only_paused(desk_target.spec, tmp_path))
    assert recorded == 3
    assert points
