"""What people do today: one kill at a random moment of an operation, or of the process's life, and a look at the books.

After the kill everything is as after a strike of the explorer: the same recovery, the same audit, the same restart and
proof of life. What differs is where it hits, that nobody knows where that was, and that a kill is all there is: nothing
random here is like the requests and answers lost, deadlocks, locks, stalls and stale look-ups that the explorer makes.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from audits.verdicts import Verdict
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.folders import private_folder
from gates.chaos.cells.target import Answer, TargetNotReadyError
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.strikes.clean_runs import CleanRun, prepare, record_clean
from gates.chaos.strikes.recovery import Course, Result, follow
from gates.chaos.strikes.striking import Hit, Seen, Unwritten, heal
from gates.chaos.trials import Trial
from gates.detection.catalogue import Planted
from gates.detection.cells import desk_cell
from gates.detection.rehearsing import Outcome, judge_rules

NOWHERE = Point(Channel.LEDGER, Direction.REQUEST, "at a random moment", 1)


class Within(StrEnum):
    """Of what the moment is drawn: of the operation, or of a process that starts and does the operation once."""

    OPERATION = "the operation"
    LIFE = "the life of the process"


@dataclass(frozen=True, slots=True)
class Tried:
    """How many random kills were made, how many found anything, and whether one found the defect for its own reason.

    `unjudged` kills found nothing, and could not be judged either.
    """

    kills: int
    alarms: int
    found: bool
    unjudged: int = 0


def kill_until_found(
    ledger_url: str, defect: Planted | None, operation: str, within: Within, *, kills: int, number: int = 1
) -> Tried:
    """Kill at random moments until the defect is found, at most `kills` times; without a defect the clean desk, always.

    Raises what keeps a cell from working: see `cells.UNCARRIED`.
    """
    return asyncio.run(_kill_until_found(ledger_url, defect, (operation, within), kills, number))


async def _kill_until_found(
    ledger_url: str, defect: Planted | None, what: tuple[str, Within], kills: int, number: int
) -> Tried:
    operation, within = what
    names = (defect.name,) if defect else ()
    dice = random.Random(f"{names} {operation} {within}")  # noqa: S311  the same moments each time
    alarms = unjudged = 0
    with private_folder() as folder:
        async with desk_cell(ledger_url, names, folder, number=number) as cell:
            clean_run = await record_clean(cell, operation)
            moments = _moments(dice, (await _length_s(cell, clean_run, within)))
            for made in range(1, kills + 1):
                result = await _kill_at(cell, clean_run, within, next(moments))
                alarms += bool(result.findings)
                unjudged += result.verdict == Verdict.INCONCLUSIVE
                if defect and judge_rules(defect.rules, result.findings) == Outcome.CAUGHT:
                    return Tried(made, alarms, found=True, unjudged=unjudged)
    return Tried(kills, alarms, found=False, unjudged=unjudged)


def _moments(dice: random.Random, length_s: float) -> Iterator[float]:
    while True:
        yield dice.uniform(0, length_s)


async def _length_s(cell: Cell, clean_run: CleanRun, within: Within) -> float:
    """How long what the moment is drawn of takes when nothing strikes."""
    if within is Within.OPERATION:
        return clean_run.took_ms / 1000
    await prepare(cell, clean_run.operation)
    await cell.reset()
    return (await cell.start() + clean_run.took_ms) / 1000


async def _kill_at(cell: Cell, clean_run: CleanRun, within: Within, after_s: float) -> Result:
    """Kill once, `after_s` after the operation was asked for or the process was started, and follow it to its end."""
    await prepare(cell, clean_run.operation)
    await cell.reset()
    before = await cell.state()
    if within is Within.OPERATION:
        await cell.start()
        doing = asyncio.create_task(cell.ask(clean_run.operation))
    else:
        cell.launch()
        doing = asyncio.create_task(_live(cell, clean_run.operation))
    await asyncio.sleep(after_s)
    await cell.target.kill()
    for proxy in cell.wires.values():
        await proxy.control.close_upstream()
    trial = Trial(clean_run.operation, NOWHERE, Strike.KILL_BEFORE)
    hit = Hit(Seen(None, time.monotonic()), await doing)
    result = Result()
    try:
        course = Course(trial, hit, clean_run.clean, before, Unwritten())
        await follow(cell, course, result)
    finally:
        await heal(cell, kills=trial.kills)
    return result


async def _live(cell: Cell, operation: str) -> Answer:
    """Wait until the target is ready and ask it for the operation, as a person would; no answer where it was killed."""
    try:
        await cell.target.wait_ready(30.0)
    except TargetNotReadyError as killed:
        return Answer(None, {"error": str(killed)}, 0.0)
    return await cell.ask(operation)
