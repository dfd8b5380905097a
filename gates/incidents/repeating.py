"""Repeating a crash point: the strike that a build failed at, made again in a cell of its own on one build.

It is the same operation, message and strike as then, with a receipt. What was not proven to strike, what does not show
that it is this build, and what fails otherwise than it did then, proves nothing.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import httpx
import psycopg

from audits.verdicts import Verdict
from gates.chaos.cells.brokers import SimulatorError
from gates.chaos.cells.cell import Cell, running_cell
from gates.chaos.cells.folders import private_folder
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.engine.running import running_premises
from gates.chaos.engine.trial_rows import trial_of
from gates.chaos.proxies.control import ProxyGoneError
from gates.chaos.safety import UnsafeError
from gates.chaos.strikes.clean_runs import CleanRun, NotSteadyError, prepare, record_clean
from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.second_strikes import record_recovery
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_until_struck
from gates.chaos.trials import Trial
from gates.incidents.prevention import PreventionError, spec_of_build
from gates.models import CrashPoint
from gates.targets.access import TargetUnreachableError

MOST_FINDINGS = 20


class NotRepeatableError(Exception):
    """The crash point cannot be struck in this build; the message says why."""


UNCARRIED = (
    *(NotRepeatableError, PreventionError, NotSteadyError, TargetNotReadyError, TargetUnreachableError, UnsafeError),
    *(SimulatorError, ProxyGoneError, TimeoutError, psycopg.Error, httpx.HTTPError, OSError, ValueError),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is repeated: the trial, its label in words, and the rules by which alone it may fail (none: by any)."""

    trial: Trial
    label: str
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Repeated:
    """What became of it: without a receipt nothing was proven."""

    verdict: Verdict
    words: str
    receipt: dict[str, Any] | None = None
    findings: tuple[dict[str, Any], ...] = ()


def wanted_of(point: CrashPoint, *, as_then: bool) -> Wanted:
    """Return what to repeat of a crash point that failed; `as_then`: only what it failed by then is its failure."""
    rules = frozenset(found["rule"] for found in point.findings) if as_then else frozenset()
    return Wanted(trial_of(point), point.then_label or point.label, rules)


def repeat(spec: Mapping[str, Any], build: str, wanted: Wanted, limit_s: float) -> Repeated:
    """Strike there again on this build, within the limit. What cannot be carried out is inconclusive, and says why."""
    try:
        return asyncio.run(_within(spec_of_build(spec, build), build, wanted, limit_s))
    except TimeoutError:
        return Repeated(Verdict.INCONCLUSIVE, f"It did not end within {limit_s:.0f} s and was ended.")
    except UNCARRIED as error:
        words = str(error).strip().split("\n", 1)[0][:500] or type(error).__name__
        return Repeated(Verdict.INCONCLUSIVE, f"It could not be struck: {words}")


async def _within(spec: dict[str, Any], build: str, wanted: Wanted, limit_s: float) -> Repeated:
    """1. The clean run of the operation. 2. The build that the cell's program shows. 3. The strike, to its end."""
    with private_folder() as folder:
        async with (
            asyncio.timeout(limit_s),
            running_premises(spec, folder) as premises,
            running_cell(premises, 1) as cell,
        ):
            cell.operation = wanted.trial.operation
            clean_run = await record_clean(cell, wanted.trial.operation)
            _demand_build(clean_run, build)
            trial = await _here(cell, wanted.trial, clean_run)
            await prepare(cell, trial.operation)
            return judged(wanted, await try_until_struck(cell, trial, clean_run.clean, Unwritten()))


def _demand_build(clean_run: CleanRun, build: str) -> None:
    """The program in the cell says of itself which build it is. Raises NotRepeatableError."""
    shown = clean_run.build
    if shown != build:
        words = f"shows the build {shown}" if shown else "shows no build: let [process] ready answer with one"
        raise NotRepeatableError(f"the program that [prevention] program starts for {build} {words}.")


async def _here(cell: Cell, asked: Trial, clean_run: CleanRun) -> Trial:
    """Return the trial at this build's own messages. Raises NotRepeatableError where it sends none of that name."""
    if all(place.point != asked.point for place in clean_run.baseline.points):
        raise NotRepeatableError(f"this build never sends {asked.point} in {asked.operation}: use a test of your own.")
    if asked.then is None:
        return asked
    first = replace(asked, then=None)
    found = await record_recovery(cell, first, clean_run.clean)
    if all(place.point != asked.then.point for place in found.baseline.points):
        raise NotRepeatableError(f"this build never sends {asked.then.point} in its recovery: use a test of your own.")
    return replace(first, then=found.then(asked.then.point, asked.then.strike))


def judged(wanted: Wanted, result: Result) -> Repeated:
    """Return what a strike came to, in words; without a receipt, or failed by other rules than then, inconclusive."""
    findings = tuple(asdict(found) for found in result.findings[:MOST_FINDINGS])
    rules = {found.rule for found in result.findings}
    verdict, reason = result.verdict, result.reason
    if result.receipt is None:
        verdict, reason = Verdict.INCONCLUSIVE, result.reason or "No receipt: nothing is proven to have struck."
    elif verdict == Verdict.FAILED and wanted.rules and not rules & wanted.rules:
        then = ", ".join(sorted(wanted.rules))
        verdict, reason = Verdict.INCONCLUSIVE, f"It failed, but not as it did then, by {then}: {result.reason}"
    where = f"{wanted.trial.fault} at {wanted.label} in {wanted.trial.operation}"
    lines = [f"{where}: {verdict}.", reason, *(found.sentence for found in result.findings[:MOST_FINDINGS])]
    if result.recovery_ms is not None:
        lines.insert(1, f"Recovered in {result.recovery_ms:.0f} ms.")
    return Repeated(verdict, "\n".join(dict.fromkeys(filter(None, lines))), result.receipt, findings)
