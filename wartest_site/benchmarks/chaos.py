"""How many crash points a minute this machine strikes and judges, and how much of that time is the target's own.

`--scale` counts the strikes, spread evenly over every kill of a trade open, in CELLS cells at once. Each has its
receipt, the recovery, the full audit twice, one more open and close, and a restart that must change nothing. One that
was not shown to be at its message is made again, as in a sweep; `struck_again` counts those.

`wall_over_floor` compares that with the floor: as many desks at once doing what is theirs alone, without proxies,
recordings, receipts and audits: start, open, die of a SIGKILL, start again until well, restart, open and close.
Databases of the floor are made before it begins; it is of FLOOR desks at most. Not measured: the portal's rows and
pages, and what comes before the first strike, the recording without one and the preparation of the cells.

`left_over_…` is what is still held once the cells are closed and was not before: zero after 1,000 strikes
(`--scale 1000`) as after one.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from audits.verdicts import Verdict
from gates.chaos.cells.beginnings import FLAT
from gates.chaos.cells.cell import Cell, running_cell
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.ports import reserved_port
from gates.chaos.cells.premises import Premises
from gates.chaos.cells.target import TargetProcess
from gates.chaos.engine.running import running_premises
from gates.chaos.scenarios.scenario import KILLS
from gates.chaos.strikes.clean_runs import CleanRun, prepare, record_clean
from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_until_struck
from gates.chaos.trials import Trial
from gates.targets.rehearsal import cell_target
from wartest_site.benchmarks import Figures, Say
from wartest_site.benchmarks.leftovers import held
from wartest_site.embedded.children import CannotStartError
from wartest_site.embedded.postgres import running_postgres

SCALE = 60
CELLS = 6
FLOOR = 60
OPERATION = "open"
READY_LIMIT_S = 60.0


def measure(scale: int, say: Say) -> Figures:
    """Return `points_per_minute`, `wall_over_floor` and what they come from."""
    with (
        tempfile.TemporaryDirectory(prefix="wartest-bench-") as folder,
        running_postgres(Path(folder) / "postgres") as server,
    ):
        return asyncio.run(_measure(cell_target(server.create_database("desk")), Path(folder), scale, say))


async def _measure(spec: dict[str, Any], folder: Path, scale: int, say: Say) -> Figures:
    ledgers = LedgerServer(spec["ledger"]["url"])
    before = await held(ledgers)
    async with running_premises(spec, folder) as premises:
        alone = min(scale, FLOOR)
        say(f"the floor: {alone} starts, opens, deaths and recoveries, {CELLS} at once")
        floor_s = await _floor(premises, alone) * scale / alone
        say(f"the floor takes {floor_s:.1f} s; the same with every strike held, proven and judged")
        async with _cells(premises) as cells:
            clean_run = await record_clean(cells[0], OPERATION)
            await asyncio.gather(*(prepare(cell, OPERATION) for cell in cells))
            began = time.monotonic()
            results = await _struck(cells, clean_run, scale)
            wall_s = time.monotonic() - began
    left = (await held(ledgers)).since(before)
    wrong = [result.reason for result in results if result.verdict != Verdict.PASSED]
    if wrong:
        raise CannotStartError(f"{len(wrong)} of {scale} strikes did not pass, so there is nothing to time: {wrong[0]}")
    return {
        "points_per_minute": round(scale / wall_s * 60, 1),
        "wall_over_floor": round(wall_s / floor_s, 2),
        "wall_s": round(wall_s, 2),
        "floor_s": round(floor_s, 2),
        "struck_again": float(sum(result.tries > 1 for result in results)),
        "recovery_p50_ms": median(result.recovery_ms or 0.0 for result in results),
        **{f"left_over_{name}": count for name, count in left.items()},
    }


@asynccontextmanager
async def _cells(premises: Premises) -> AsyncIterator[list[Cell]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running_cell(premises, number)) for number in range(1, CELLS + 1)]


async def _struck(cells: list[Cell], clean_run: CleanRun, scale: int) -> list[Result]:
    """Strike `scale` times, spread over the kills; each cell takes the next one as soon as it is free."""
    every = [trial for aim in KILLS for _, trial in aim.trials(OPERATION, clean_run.baseline.points)]
    chosen = [every[number * len(every) // scale % len(every)] for number in range(scale)]
    waiting: asyncio.Queue[Trial] = asyncio.Queue()
    for trial in chosen:
        waiting.put_nowait(trial)
    results: list[Result] = []

    async def take(cell: Cell) -> None:
        while not waiting.empty():
            results.append(await try_until_struck(cell, waiting.get_nowait(), clean_run.clean, Unwritten()))

    await asyncio.gather(*(take(cell) for cell in cells))
    return results


async def _floor(premises: Premises, scale: int) -> float:
    """The seconds that `scale` desks need for what is theirs alone, CELLS at once."""
    rounds = -(-scale // CELLS)
    async with AsyncExitStack() as stack:
        slots = [await stack.enter_async_context(_slot(premises, number, rounds)) for number in range(CELLS)]
        began = time.monotonic()
        await asyncio.gather(*(_alone(premises, *slot) for slot in slots))
        return (time.monotonic() - began) * scale / (rounds * CELLS)


Slot = tuple[TargetProcess, str, list[dict[str, str]]]


@asynccontextmanager
async def _slot(premises: Premises, number: int, rounds: int) -> AsyncIterator[Slot]:
    """An account, a program, and for each round the places of a database that a desk has set up before."""
    account = f"101-001-{number + 9_000:07}-001"
    await premises.simulator.open_account(account)
    with reserved_port(number) as port:
        common = {"broker_url": premises.simulator.url, "account": account, "token": premises.simulator.token}
        common["port"] = str(port)
    target = TargetProcess(premises.program, premises.folder / f"floor-{number}.log")
    kept = await premises.ledgers.create("kept")
    target.program = premises.program.filled(common | {"ledger_url": premises.ledgers.url_of(kept)})
    target.start()
    await target.wait_ready(READY_LIMIT_S)
    await target.end()
    await premises.simulator.keep(account)
    names = [await premises.ledgers.create(FLAT, template=kept) for _ in range(rounds)]
    try:
        yield target, account, [common | {"ledger_url": premises.ledgers.url_of(name)} for name in names]
    finally:
        await target.close()
        for name in (kept, *names):
            await premises.ledgers.drop(name)


async def _alone(premises: Premises, target: TargetProcess, account: str, rounds: list[dict[str, str]]) -> None:
    for places in rounds:
        await premises.simulator.go_back(account)
        target.program = premises.program.filled(places)
        await _ready(target)
        await _done(target, OPERATION)
        await target.kill()
        await _ready(target)
        await target.end()
        await _ready(target)
        for operation in ("open", "close"):
            await _done(target, operation)
        await target.kill()


async def _done(target: TargetProcess, operation: str) -> None:
    """Raises CannotStartError: an operation that fails slowly would make a longer floor, and so a better ratio."""
    answer = await target.ask(operation)
    if not answer.success:
        raise CannotStartError(f"{operation} failed on a desk of the floor, so there is nothing to compare with")


async def _ready(target: TargetProcess) -> None:
    target.start()
    await target.wait_ready(READY_LIMIT_S)
