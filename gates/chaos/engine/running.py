"""The engine: an asyncio process that records clean runs and strikes, in as many cells at once as it is told.

Rows are the work: scenarios whose clean runs are missing, then crash points. Any number of engines may take them. An
engine that is killed leaves leases that run out, heals that any worker carries out, and databases that the next sweeps.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from audits.verdicts import Verdict
from gates.chaos.baseline import CrashPoint as Place
from gates.chaos.cells.brokers import SimulatorError, running_simulator
from gates.chaos.cells.cell import Cell, running_cell
from gates.chaos.cells.folders import private_folder
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.premises import Premises
from gates.chaos.cells.presence import demand_program, demand_server
from gates.chaos.cells.templates import cells_template
from gates.chaos.cells.ways import listening_place
from gates.chaos.engine import closing, healing, posts, sampling, trial_rows, work
from gates.chaos.engine.builds import another_build
from gates.chaos.engine.deepening import second_strikes
from gates.chaos.engine.journal import Rows
from gates.chaos.engine.memory import Memory
from gates.chaos.safety import UnsafeError, demand_safe
from gates.chaos.scenarios import Scenario, scenarios_of
from gates.chaos.strikes.clean_runs import CleanRun, NotSteadyError, prepare, record_clean
from gates.chaos.strikes.invariants import Clean, protection_limit_ms
from gates.chaos.strikes.recovery import Result, demand_end
from gates.chaos.strikes.trying import try_until_struck
from gates.chaos.timeouts import timeouts_of
from gates.chaos.trials import Trial
from gates.models import ChaosRun, CrashPoint, OperationBaseline, Run, ScenarioRun
from gates.targets.access import TargetUnreachableError, access, cells_ledger
from gates.targets.programs import planted_in, program_of
from gates.targets.ways import ways_of
from gates.workers import identity

log = logging.getLogger(__name__)

IDLE_S = 0.5
MAXIMUM_CELLS = 64
REFUSALS = (UnsafeError, TargetUnreachableError, SimulatorError)
BROKE = f"{work.ATTEMPTS} attempts broke: see the engine's log."


@asynccontextmanager
async def running_premises(spec: dict[str, Any], folder: Path) -> AsyncIterator[Premises]:
    """What the cells share: the target's program, the ledger server, a broker simulator of their own.

    Raises UnsafeError, TargetUnreachableError, SimulatorError.
    """
    program = program_of(spec)
    chaos = spec.get("chaos") or {}
    reach = access(spec)
    ledgers = LedgerServer(cells_ledger(spec))
    ways = ways_of(spec)
    allowed = tuple(chaos.get("allowed_hosts") or ())
    demand_safe(program, ledgers.host, allowed, ways)
    demand_program(program)
    listening_place(ways)  # a machine that does not allow it is said here, once, and not by each cell
    async with running_simulator(folder) as simulator:
        await demand_server(ledgers)
        async with cells_template(chaos, ledgers) as template:
            limit_s = protection_limit_ms(spec) / 1000
            schema, timeouts = reach.ledger_schema, timeouts_of(spec)
            yield Premises(program, ledgers, simulator, folder, schema, template, ways, allowed, limit_s, timeouts)
        await ledgers.sweep()  # of an engine of this machine that was killed meanwhile too


async def run_engine(run_id: int) -> None:
    """Work on a run until nothing of it is left to do, as the engine that ticks see at it if it has no other.

    Raises UnsafeError, TargetUnreachableError, SimulatorError where it cannot be worked on from here.
    """
    chaos = await sync_to_async(ChaosRun.objects.select_related("run__campaign__target").get)(run_id=run_id)
    worker, trouble = identity(), ""
    await sync_to_async(posts.take_post)(run_id, worker=worker, now=timezone.now())
    try:
        with private_folder() as folder:
            async with running_premises(chaos.run.campaign.target.spec, folder) as premises:
                await Engine(chaos, worker, premises).work()
    except REFUSALS as error:
        trouble = str(error)
        raise
    finally:
        await asyncio.shield(sync_to_async(posts.leave_post)(run_id, worker=worker, trouble=trouble))


class Engine:
    """The cells of one process, each taking row after row."""

    def __init__(self, chaos: ChaosRun, worker: str, premises: Premises) -> None:
        self.chaos = chaos
        self.worker = worker
        self.premises = premises
        self._cleans: dict[tuple[int, str], Clean] = {}
        self._clean_runs: dict[str, CleanRun] = {}
        self._recording: dict[str, asyncio.Lock] = {}
        self._memory = Memory()
        spec = chaos.run.campaign.target.spec
        self._scenarios = {each.name: each for each in scenarios_of(spec)}
        self._build = "" if planted_in(spec) else chaos.run.campaign.build

    async def work(self) -> None:
        """Run the cells until the run has no open scenario. A cell that breaks is replaced by a fresh one."""
        count = max(1, min(self.chaos.cells, MAXIMUM_CELLS))
        renewing = asyncio.create_task(self._renew())
        cells = [asyncio.create_task(self._cell(number)) for number in range(1, count + 1)]
        try:
            done, _ = await asyncio.wait((*cells, renewing), return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in (*cells, renewing):
                task.cancel()
            await asyncio.gather(*cells, renewing, return_exceptions=True)

    async def _renew(self) -> None:
        while await self._is_open():
            await sync_to_async(work.renew)(self.worker, timezone.now())
            await sync_to_async(closing.close_scenarios)(self.chaos.run_id, worker=self.worker, now=timezone.now())
            await asyncio.sleep(work.RENEW_S)

    async def _cell(self, number: int) -> None:
        """Take rows with one cell. What breaks a cell costs the row one attempt, and the cell is made anew."""
        while await self._is_open():
            try:
                async with self._own_cell(number) as cell:
                    while await self._is_open():
                        if not await self._one(cell):
                            await asyncio.sleep(IDLE_S)
            except UnsafeError:
                raise  # no fresh cell would be any safer: the run says so
            except Exception:
                log.exception("cell %s broke; it is made anew", number)
                await asyncio.sleep(IDLE_S)

    @asynccontextmanager
    async def _own_cell(self, number: int) -> AsyncIterator[Cell]:
        """A cell. A strike that breaks off with it is undone here: where no tick runs nobody else could."""
        try:
            async with running_cell(self.premises, number) as cell:
                yield cell
        finally:
            await asyncio.shield(sync_to_async(healing.heal_own)(self.worker, timezone.now()))

    async def _one(self, cell: Cell) -> bool:
        """Record one scenario's clean runs, or make one strike; False when there was nothing to do."""
        now = timezone.now()
        scenario = await sync_to_async(work.claim_scenario)(self.chaos.run_id, worker=self.worker, now=now)
        if scenario is not None:
            await self._planned(cell, scenario)
            return True
        prefer = cell.operation
        point = await sync_to_async(work.claim_point)(self.chaos.run_id, worker=self.worker, now=now, prefer=prefer)
        if point is None:
            return False
        try:
            result = await self._strike(cell, point)
            seconds = await self._seconds(cell, point, result)
            recorded = await sync_to_async(work.record)(point, result, seconds, now=timezone.now())
        except BaseException:
            self._memory.forget(point)
            await asyncio.shield(sync_to_async(work.give_back)(point))
            raise
        if recorded:
            self._memory.keep(point, result)
        else:
            self._memory.forget(point)
        return True

    async def _planned(self, cell: Cell, row: ScenarioRun) -> None:
        """Plan the scenario, unless that broke too often. What is not planned or closed by then is given back."""
        try:
            if row.attempt > work.ATTEMPTS:
                await self._close(row, BROKE)
            else:
                await self._plan(cell, row)
        finally:
            await asyncio.shield(sync_to_async(work.give_back_scenario)(row))

    async def _plan(self, cell: Cell, row: ScenarioRun) -> None:
        """Record the clean runs and cut the crash points; where that cannot be done, the scenario is inconclusive."""
        planned = []
        try:
            scenario = self._scenario(row.name)
            for operation in self._operations(scenario):
                clean_run = await self._clean_run(cell, operation)
                trials = scenario.trials(operation, clean_run.baseline.points)
                planned.append(work.Planned(clean_run, sampling.chosen(trials, self.chaos)))
        except (NotSteadyError, TargetUnreachableError) as error:
            reason = f"Steady state not met: {error}" if isinstance(error, NotSteadyError) else str(error)
            await self._close(row, reason)
            return
        count = await sync_to_async(work.store_plan)(row, planned, now=timezone.now())
        if count == 0:
            await self._close(row)

    async def _close(self, row: ScenarioRun, reason: str = "") -> None:
        await sync_to_async(closing.close_scenario)(row, worker=self.worker, now=timezone.now(), reason=reason)

    def _scenario(self, name: str) -> Scenario:
        """Raises TargetUnreachableError for one that the description has lost since the run was started."""
        if name not in self._scenarios:
            raise TargetUnreachableError(f"The target's description has no scenario {name!r} any more.")
        return self._scenarios[name]

    def _operations(self, scenario: Scenario) -> tuple[str, ...]:
        only = self.chaos.only_operation
        return tuple(name for name in scenario.operations if only in ("", name))

    async def _clean_run(self, cell: Cell, operation: str) -> CleanRun:
        """The clean run of an operation, recorded once by this engine: its program is the same in every scenario.

        Raises NotSteadyError, where the program shows another build than the campaign's too.
        """
        async with self._recording.setdefault(operation, asyncio.Lock()):
            if operation not in self._clean_runs:
                clean_run = await record_clean(cell, operation)
                if another := another_build(clean_run.build, self._build):
                    raise NotSteadyError(another)
                self._clean_runs[operation] = clean_run
            return self._clean_runs[operation]

    async def _strike(self, cell: Cell, point: CrashPoint) -> Result:
        """Make the row's strike and follow it."""
        trial = trial_rows.trial_of(point)
        clean = await self._clean(point.scenario_id, point.operation)
        if point.attempt > work.ATTEMPTS:
            return Result().concluded(Verdict.INCONCLUSIVE, BROKE)
        if cut_off := await sync_to_async(work.cut_off)(point):
            return Result().concluded(Verdict.INCONCLUSIVE, cut_off)
        cell.operation = point.operation
        await prepare(cell, point.operation)
        quick = self.chaos.mode == ChaosRun.Mode.QUICK and not point.half_open
        judged = self._memory.judged(point) if quick else None
        result = await try_until_struck(cell, trial, clean, Rows(point, self.worker), judged)
        if another := another_build(cell.target.build, self._build):  # a deploy while the gate runs
            result.after_kill = result.exact = ""  # it stands for no strike of the campaign's build
            result.same_as = None
            return result.concluded(Verdict.INCONCLUSIVE, another)
        demand_end(result, self._scenarios[point.scenario.name].end)
        return result

    async def _seconds(self, cell: Cell, point: CrashPoint, result: Result) -> list[tuple[Place, Trial]]:
        """The second strikes: once for each durable state that a kill left, at each message of the recovery from it.

        States count as one only where nothing at all tells them apart: a recovery may turn on what noise would hide.
        """
        trial = trial_rows.trial_of(point)
        wanted = self.chaos.depth > 1 and result.verdict == Verdict.PASSED and trial.leaves_one_state
        if not wanted or point.then_point or point.half_open or not self._memory.takes(point, result.exact):
            return []
        if await sync_to_async(work.is_deepened)(point, result.exact):
            return []
        clean = await self._clean(point.scenario_id, point.operation)
        return sampling.chosen(await second_strikes(cell, trial, clean, result), self.chaos)

    async def _clean(self, scenario_id: int, operation: str) -> Clean:
        key = (scenario_id, operation)
        if key not in self._cleans:
            get = sync_to_async(OperationBaseline.objects.get)
            row = await get(scenario_id=scenario_id, operation=operation)
            self._cleans[key] = Clean.of(row.clean)
        return self._cleans[key]

    async def _is_open(self) -> bool:
        going = ScenarioRun.objects.filter(run_id=self.chaos.run_id, run__state=Run.State.RUNNING).exclude(phase="done")
        return await sync_to_async(going.exists)()
