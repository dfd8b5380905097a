"""The clean desk, struck where the defects were caught: whatever is found there accuses the war test itself."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce

from audits.verdicts import Verdict
from gates.chaos.baseline import Baseline
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.folders import private_folder
from gates.chaos.messages import Point
from gates.chaos.strikes.clean_runs import CleanRun, prepare, record_clean
from gates.chaos.strikes.second_strikes import record_recovery
from gates.chaos.trials import Trial
from gates.detection.cells import UNCARRIED, desk_cell
from gates.detection.judgement import Judged
from gates.detection.striking import Say, try_patiently, unheard


def strike_clean(ledger_url: str, trials: Iterable[Trial], *, number: int = 1, say: Say = unheard) -> Judged:
    """The same strikes on the clean desk: nothing is found, or the war test is wrong.

    A message that only the defective desk sends cannot be struck, accuses nobody, and is not counted as struck. What
    could not be struck for another reason is silent; what was found before it stays found.
    """
    seen: list[Judged] = []
    try:
        asyncio.run(_strike_clean(ledger_url, tuple(trials), (number, say), seen))
    except UNCARRIED as error:
        seen.append(Judged((), (f"the clean desk could not be struck: {type(error).__name__}: {error}",)))
    return reduce(Judged.and_also, seen, Judged())


async def _strike_clean(ledger_url: str, trials: tuple[Trial, ...], how: tuple[int, Say], seen: list[Judged]) -> None:
    """Add to `seen` what each strike shows, as it comes."""
    number, say = how
    cleans: dict[str, CleanRun] = {}
    with private_folder() as folder:
        async with desk_cell(ledger_url, (), folder, number=number) as cell:
            for trial in sorted(trials, key=lambda each: each.operation):  # a cell is prepared once for each
                if trial.operation not in cleans:
                    say(f"recording {trial.operation} without a strike")
                    cleans[trial.operation] = await record_clean(cell, trial.operation)
                say(f"{trial.fault} at {trial.point}")
                seen.append(await _judged(cell, trial, cleans[trial.operation]))


async def _judged(cell: Cell, trial: Trial, clean_run: CleanRun) -> Judged:
    """What one strike shows; nothing where the clean desk sends no such message."""
    if not _has(clean_run.baseline, trial.point):
        return Judged()
    if trial.then is not None:
        await prepare(cell, trial.operation)
        found = await record_recovery(cell, replace(trial, then=None), clean_run.clean)
        if not _has(found.baseline, trial.then.point):
            return Judged()
        trial = replace(trial, then=found.then(trial.then.point, trial.then.strike))
    result = await try_patiently(cell, trial, clean_run)
    unsure = (f"{trial.fault} at {trial.point}: {result.reason}",)
    silent = () if result.verdict != Verdict.INCONCLUSIVE or not result.applies else unsure
    return Judged(tuple(result.findings), silent, struck=int(result.receipt is not None))


def _has(found: Baseline, point: Point) -> bool:
    return point in {each.point for each in found.points}
