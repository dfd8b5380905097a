"""Second strikes: a kill at each message of the recovery from a first one."""

from dataclasses import replace

from audits.verdicts import Verdict
from gates.chaos.baseline import CrashPoint as Place
from gates.chaos.cells.cell import Cell
from gates.chaos.scenarios.scenario import KILLS
from gates.chaos.strikes.clean_runs import NotSteadyError
from gates.chaos.strikes.invariants import Clean
from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.second_strikes import record_recovery
from gates.chaos.trials import Trial


async def second_strikes(cell: Cell, trial: Trial, clean: Clean, result: Result) -> list[tuple[Place, Trial]]:
    """The second strikes at the recovery from the state that this strike has left, each with its place.

    A recovery that never goes the same way twice cannot be struck: then its first strike proves too little. Of one that
    sends nothing none is due, and the result says so.
    """
    try:
        found = await record_recovery(cell, trial, clean, result.after_kill)
    except NotSteadyError as error:
        result.concluded(Verdict.INCONCLUSIVE, f"Its recovery could not be struck: {error}")
        return []
    result.silent = found.silent
    pairs = [pair for aim in KILLS for pair in aim.trials(trial.operation, found.baseline.points)]
    return [(place, replace(trial, then=found.then(second.point, second.strike))) for place, second in pairs]
