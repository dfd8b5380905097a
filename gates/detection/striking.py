"""Rehearsing a defect of gate 2: the explorer strikes the defective desk until it is caught for its own reason."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from audits.findings import Finding
from audits.verdicts import Verdict
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.folders import private_folder
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.scenarios import SCENARIOS, Scenario
from gates.chaos.scenarios.scenario import KILLS
from gates.chaos.strikes import trying
from gates.chaos.strikes.clean_runs import CleanRun, NotSteadyError, prepare, record_clean
from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.second_strikes import record_recovery
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.trials import Trial
from gates.detection.catalogue import Planted
from gates.detection.cells import UNCARRIED, desk_cell
from gates.detection.rehearsing import Outcome, Rehearsed, ShownBy, judge_rules

LIMIT_S = 1200.0  # for one defect
Known = dict[str, trying.Judged] | None
Say = Callable[[str], None]


def unheard(_words: str) -> None:
    """Nobody wants to know how far it is."""


@dataclass
class Search:
    """What the strikes have shown so far. `judged` are the states that a kill left and that were followed, `deepened`
    those from which the recovery was struck too; `planned` counts the strikes of the operations recorded; `cut` says
    that not every strike was made.
    """

    say: Say = unheard
    planned: int = 0
    struck: int = 0
    cut: bool = False
    judged: dict[tuple[str, bool], dict[str, trying.Judged]] = field(default_factory=dict)
    deepened: set[tuple[str, str]] = field(default_factory=set)
    found: list[Finding] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    shown_by: ShownBy | None = None


def strike_until_caught(ledger_url: str, defect: Planted, *, number: int = 1, say: Say = unheard) -> Rehearsed:
    """Strike the desk with this defect in its scenarios, until a strike finds what it must be found by.

    `ledger_url` is of a server where databases may be made; `number` tells apart what runs at once; `say` is told of
    each strike. What could not be carried out is not shown.
    """
    return asyncio.run(_strike(ledger_url, defect, number, say))


async def try_patiently(cell: Cell, trial: Trial, clean_run: CleanRun, known: Known = None) -> Result:
    """Make one strike in a cell prepared for its operation."""
    cell.operation = trial.operation
    await prepare(cell, trial.operation)
    return await trying.try_until_struck(cell, trial, clean_run.clean, Unwritten(), known)


async def _strike(ledger_url: str, defect: Planted, number: int, say: Say) -> Rehearsed:
    began = time.monotonic()
    search = Search(say)
    with private_folder() as folder:
        try:
            cell = desk_cell(ledger_url, (defect.name,), folder, number=number)
            async with asyncio.timeout(LIMIT_S), cell as running:
                await _search(running, defect, search)
        except UNCARRIED as error:
            search.cut = True
            search.reasons.append(f"{type(error).__name__}: {error}")
    took_s = round(time.monotonic() - began, 1)
    outcome = judge_rules(defect.rules, search.found)
    if outcome == Outcome.MISSED and (search.cut or not search.struck):
        outcome = Outcome.NOT_SHOWN
    made = f"strikes made: {search.struck} of {search.planned}"
    reason = "; ".join(dict.fromkeys((*search.reasons, made)))
    where = search.shown_by.words if search.shown_by else ""
    found = tuple(search.found)
    return Rehearsed(defect, outcome, found, took_s, where, reason, search.shown_by, search.struck, search.planned)


async def _search(cell: Cell, defect: Planted, search: Search) -> None:
    """Strike by strike, and from each state that a kill left its recovery too, where the defect needs that; ends with
    the first strike that finds it for its own reason.
    """
    async for scenario, clean_run, label, trial in _trials(cell, defect, search):
        result = await _note(cell, defect, search, clean_run, ShownBy(scenario.name, label, trial))
        if _is_caught(defect, search):
            return
        for then_label, second in await _seconds(cell, defect, search, clean_run, (trial, result)):
            await _note(cell, defect, search, clean_run, ShownBy(scenario.name, label, second, then_label))
            if _is_caught(defect, search):
                return


async def _note(cell: Cell, defect: Planted, search: Search, clean_run: CleanRun, made: ShownBy) -> Result:
    """Make one strike and keep it, if it shows more. A kill that leaves a state followed before is not followed."""
    trial = made.trial
    search.say(f"strike {search.struck + 1}: {made.words}")
    known = search.judged.setdefault((trial.operation, trial.then is not None), {})
    result = await try_patiently(cell, trial, clean_run, None if trial.half_open else known)
    if result.exact and result.same_as is None and not trial.half_open:
        known.setdefault(result.exact, trying.Judged(search.struck, result.verdict, result.reason))
    search.struck += result.receipt is not None
    if result.receipt is None and result.applies:  # the very one that would have told may be missing
        search.cut = True
        search.reasons.append(f"{made.words} was not made: {result.reason}")
    if _better(defect, result, search):
        search.found, search.shown_by = list(result.findings), replace(made, result=result)
    return result


def _is_caught(defect: Planted, search: Search) -> bool:
    return judge_rules(defect.rules, search.found) == Outcome.CAUGHT


async def _seconds(
    cell: Cell, defect: Planted, search: Search, clean_run: CleanRun, first: tuple[Trial, Result]
) -> list[tuple[str, Trial]]:
    """A kill at each message of the recovery from this kill, once for each state that a kill left."""
    trial, result = first
    state = (trial.operation, result.after_kill)
    wanted = defect.depth > 1 and result.verdict == Verdict.PASSED and trial.leaves_one_state
    if not wanted or trial.half_open or state in search.deepened:
        return []
    search.deepened.add(state)
    try:
        found = await record_recovery(cell, trial, clean_run.clean, result.after_kill)
    except (NotSteadyError, TargetNotReadyError, ValueError) as error:
        search.cut = True
        search.reasons.append(f"a recovery could not be recorded: {error}")
        return []
    points = found.baseline.points
    pairs = [(place.label, second) for aim in KILLS for place, second in aim.trials(trial.operation, points)]
    search.planned += len(pairs)
    ordered = soonest_first(pairs, defect.begin_at[1:2])
    return [(label, replace(trial, then=found.then(second.point, second.strike))) for label, second in ordered]


async def _trials(cell: Cell, defect: Planted, search: Search) -> AsyncIterator[tuple[Scenario, CleanRun, str, Trial]]:
    for scenario in scenarios_of(defect):
        for operation in defect.operations or scenario.operations:
            search.say(f"recording {operation} without a strike")
            try:
                clean_run = await record_clean(cell, operation)
            except NotSteadyError as error:
                search.cut = True
                search.reasons.append(f"steady state not met: {error}")
                continue
            pairs = [(place.label, trial) for place, trial in scenario.trials(operation, clean_run.baseline.points)]
            search.planned += len(pairs)
            for label, trial in soonest_first(pairs, defect.begin_at[:1]):
                yield scenario, clean_run, label, trial


def soonest_first(pairs: Iterable[tuple[str, Trial]], begin_at: tuple[str, ...]) -> list[tuple[str, Trial]]:
    """The strikes whose words begin so come first, in their order; then all others, in theirs."""
    return sorted(pairs, key=lambda pair: not words_of(*pair).startswith(begin_at or ("",)))


def words_of(label: str, trial: Trial) -> str:
    """A strike in words, its message told apart from others of its label: `kill after at ledger: COMMIT #2`."""
    return f"{trial.fault} at {label} #{trial.point.occurrence}"


def scenarios_of(defect: Planted) -> Iterator[Scenario]:
    """The scenarios that must catch it."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in defect.scenarios:
        yield known[name]


def _better(defect: Planted, result: Result, search: Search) -> bool:
    """Whether this strike shows more of what the defect must be found by."""
    if result.receipt is None:
        return False
    own = set(defect.rules)
    seen, before = ({finding.rule for finding in each} for each in (result.findings, search.found))
    return (len(seen & own), bool(seen)) > (len(before & own), bool(before))
