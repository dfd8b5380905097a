"""Rehearsing a defect of gate 2: the explorer strikes the defective desk until it is caught for its own reason."""

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from audits.findings import Finding
from audits.verdicts import Verdict
from gates.chaos import recovery
from gates.chaos.cells.brokers import Simulator, SimulatorError
from gates.chaos.cells.cell import Cell, Premises, reserved_port, running_cell
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.processes import OwnedProcess
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.proxies.control import ProxyGoneError
from gates.chaos.recording import CleanRun, NotSteadyError, prepare, record_clean
from gates.chaos.recovery import Result
from gates.chaos.scenarios import SCENARIOS, Scenario
from gates.chaos.scenarios.scenario import KILLS
from gates.chaos.second import record_recovery
from gates.chaos.striking import Unwritten
from gates.chaos.trials import Then, Trial
from gates.detection.catalogue import Planted
from gates.detection.rehearsing import Judged, Outcome, Rehearsed, judge_rules
from gates.targets.programs import Program, read_program
from gates.targets.rehearsal import cell_broker, cell_program

LIMIT_S = 1200.0  # for one defect
Known = dict[str, recovery.Judged] | None
UNCARRIED = (TimeoutError, SimulatorError, TargetNotReadyError, NotSteadyError, ProxyGoneError, psycopg.Error, OSError)


@dataclass
class Search:
    """What the strikes have shown so far. `judged` are the states that a kill left and that were followed, `deepened`
    those from which the recovery was struck too; `cut` says that not every strike was made.
    """

    struck: int = 0
    cut: bool = False
    judged: dict[tuple[str, bool], dict[str, recovery.Judged]] = field(default_factory=dict)
    deepened: set[tuple[str, str]] = field(default_factory=set)
    found: list[Finding] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    where: str = ""
    trial: Trial | None = None


def strike_until_caught(ledger_url: str, defect: Planted) -> Rehearsed:
    """Strike the desk with this defect in its scenarios, until a strike finds what it must be found by.

    `ledger_url` is of a server where databases may be made. What could not be carried out is not shown.
    """
    return asyncio.run(_strike(ledger_url, defect))


def strike_clean(ledger_url: str, trials: Iterable[Trial]) -> Judged:
    """The same strikes on the clean desk: nothing is found, or the war test is wrong.

    A message that only the defective desk sends cannot be struck, and accuses nobody. What could not be struck for
    another reason is silent.
    """
    try:
        return asyncio.run(_strike_clean(ledger_url, tuple(trials)))
    except UNCARRIED as error:
        return Judged((), (f"the clean desk could not be struck: {type(error).__name__}: {error}",))


async def _strike_clean(ledger_url: str, trials: tuple[Trial, ...]) -> Judged:
    seen = Judged()
    cleans: dict[str, CleanRun] = {}
    with tempfile.TemporaryDirectory(prefix="wartest-strike-") as folder:
        async with _cell(ledger_url, (), Path(folder)) as cell:
            for trial in trials:
                if trial.operation not in cleans:
                    cleans[trial.operation] = await record_clean(cell, trial.operation)
                if trial.point in {each.point for each in cleans[trial.operation].baseline.points}:
                    result = await _try(cell, trial, cleans[trial.operation])
                    unsure = (f"{trial.fault} at {trial.point}: {result.reason}",)
                    silent = () if result.verdict != Verdict.INCONCLUSIVE or not result.applies else unsure
                    seen = seen.and_also(Judged(tuple(result.findings), silent))
    return seen


async def _try(cell: Cell, trial: Trial, clean_run: CleanRun, known: Known = None) -> Result:
    cell.operation = trial.operation
    await prepare(cell, trial.operation)
    return await recovery.try_until_struck(cell, trial, clean_run.clean, Unwritten(), known)


async def _strike(ledger_url: str, defect: Planted) -> Rehearsed:
    began = time.monotonic()
    search = Search()
    with tempfile.TemporaryDirectory(prefix="wartest-strike-") as folder:
        try:
            async with asyncio.timeout(LIMIT_S), _cell(ledger_url, (defect.name,), Path(folder)) as cell:
                await _search(cell, defect, search)
        except UNCARRIED as error:
            search.cut = True
            search.reasons.append(f"{type(error).__name__}: {error}")
    took_s = round(time.monotonic() - began, 1)
    outcome = judge_rules(defect.rules, search.found)
    if outcome == Outcome.MISSED and (search.cut or not search.struck):
        outcome = Outcome.NOT_SHOWN
    count = "by strike" if outcome == Outcome.CAUGHT else "strikes made:"
    reason = "; ".join(dict.fromkeys((*search.reasons, f"{count} {search.struck}")))
    return Rehearsed(defect, outcome, tuple(search.found), took_s, search.where, reason, search.trial)


async def _search(cell: Cell, defect: Planted, search: Search) -> None:
    """Strike by strike, and from each state that a kill left its recovery too, where the defect needs that; ends with
    the first strike that finds it for its own reason.
    """
    async for scenario, clean_run, trial, label in _trials(cell, defect, search):
        where = f"{scenario.name}, {trial.operation}"
        result = await _note(cell, defect, search, (clean_run, trial, f"{where}, {trial.fault} at {label}"))
        if _is_caught(defect, search):
            return
        for second, place in await _seconds(cell, defect, search, (clean_run, trial, result)):
            await _note(cell, defect, search, (clean_run, second, f"{where}, {second.fault} at {label}, at {place}"))
            if _is_caught(defect, search):
                return


async def _note(cell: Cell, defect: Planted, search: Search, strike: tuple[CleanRun, Trial, str]) -> Result:
    """Make one strike and keep it, if it shows more. A kill that leaves a state followed before is not followed."""
    clean_run, trial, where = strike
    known = search.judged.setdefault((trial.operation, trial.then is not None), {})
    result = await _try(cell, trial, clean_run, None if trial.half_open else known)
    if result.after_kill and result.same_as is None:
        known.setdefault(result.after_kill, recovery.Judged(search.struck, result.verdict, result.reason))
    search.struck += result.receipt is not None
    if _better(defect, result, search):
        search.found, search.trial, search.where = list(result.findings), trial, where
    return result


def _is_caught(defect: Planted, search: Search) -> bool:
    return judge_rules(defect.rules, search.found) == Outcome.CAUGHT


async def _seconds(
    cell: Cell, defect: Planted, search: Search, first: tuple[CleanRun, Trial, Result]
) -> list[tuple[Trial, str]]:
    """A kill at each message of the recovery from this kill, once for each state that a kill left."""
    clean_run, trial, result = first
    state = (trial.operation, result.after_kill)
    wanted = defect.depth > 1 and result.after_kill and result.verdict == Verdict.PASSED
    if not wanted or trial.half_open or state in search.deepened:
        return []
    search.deepened.add(state)
    try:
        found = await record_recovery(cell, trial, clean_run.clean)
    except (NotSteadyError, ValueError) as error:
        search.cut = True
        search.reasons.append(f"a recovery could not be recorded: {error}")
        return []
    pairs = [pair for aim in KILLS for pair in aim.trials(trial.operation, found.points)]
    return [(replace(trial, then=Then(second.point, second.strike)), place.label) for place, second in pairs]


async def _trials(cell: Cell, defect: Planted, search: Search) -> AsyncIterator[tuple[Scenario, CleanRun, Trial, str]]:
    for scenario in _scenarios(defect):
        for operation in defect.operations or scenario.operations:
            try:
                clean_run = await record_clean(cell, operation)
            except NotSteadyError as error:
                search.cut = True
                search.reasons.append(f"steady state not met: {error}")
                continue
            for point, trial in scenario.trials(operation, clean_run.baseline.points):
                yield scenario, clean_run, trial, point.label


def _scenarios(defect: Planted) -> Iterator[Scenario]:
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


@asynccontextmanager
async def _cell(ledger_url: str, defects: tuple[str, ...], folder: Path) -> AsyncIterator[Cell]:
    program = read_program(cell_program())
    words = (word for name in defects for word in ("--defect", name))
    planted: Program = replace(program, command=(*program.command, *words))
    token = secrets.token_urlsafe(16)
    with reserved_port(os.getpid() % 50) as api, reserved_port(os.getpid() % 50 + 1) as control:
        ports = (api, control)
    broker = cell_broker(ports, token)
    process = OwnedProcess.start(broker.argv, env=os.environ | broker.env, log=folder / "broker.log")
    try:
        urls = (f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
        async with Simulator(*urls, token) as simulator:
            await simulator.wait_ready()
            premises = Premises(planted, LedgerServer(ledger_url), simulator, folder)
            async with running_cell(premises, 1) as cell:
                yield cell
    finally:
        await process.kill()
        process.close()
