"""The clean run of an operation, done twice: where it starts, where it ends, and the messages in between."""

from dataclasses import dataclass

from audits.verdicts import Verdict
from gates.chaos.baseline import Baseline, Recording, baseline
from gates.chaos.cells.cell import FLAT, HOLDING, Cell
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.invariants import Clean

TIMES = 2
STARTS_FROM = {"open": FLAT}  # every other operation starts with one open position


class NotSteadyError(Exception):
    """The steady state is not met: without a strike the books are not right, or two clean runs do not end alike."""


@dataclass(frozen=True, slots=True)
class CleanRun:
    """What is known of an operation when nothing strikes."""

    operation: str
    clean: Clean
    baseline: Baseline
    recordings: tuple[Recording, ...]
    took_ms: float


async def record_clean(cell: Cell, operation: str) -> CleanRun:
    """Prepare the cell and do the operation twice, recording every message.

    1. The books before it must audit clean. 2. It must succeed. 3. The books after it must audit clean.
    4. Both runs must end alike.

    Raises NotSteadyError, which makes a scenario inconclusive, not failed.
    """
    if operation not in cell.premises.program.operations:
        raise NotSteadyError(f"The target's description has no operation {operation!r}.")
    await prepare(cell, operation)
    runs = [await _once(cell, operation) for _ in range(TIMES)]
    (first, _, took_ms), *others = runs
    for other, _, _ in others:
        if (other.start.economy(), other.end.economy()) != (first.start.economy(), first.end.economy()):
            raise NotSteadyError(f"Two clean runs of {operation} do not end alike.")
    recordings = tuple(recording for _, recording, _ in runs)
    found = baseline(recordings)
    if not found.points:
        raise NotSteadyError(f"{operation} sent no message that two clean runs share: there is nothing to strike.")
    return CleanRun(operation, first, found, recordings, took_ms)


async def prepare(cell: Cell, operation: str) -> None:
    """Prepare the state that the operation starts from. Raises NotSteadyError."""
    try:
        await cell.prepare(STARTS_FROM.get(operation, HOLDING))
    except TargetNotReadyError as error:
        raise NotSteadyError(f"The target cannot be prepared for {operation}: {error}") from error


async def _once(cell: Cell, operation: str) -> tuple[Clean, Recording, float]:
    await cell.reset()
    try:
        await cell.start()
    except TargetNotReadyError as error:
        raise NotSteadyError(str(error)) from error
    await cell.quiet()
    await _demand_clean(cell, "before")
    start = await cell.state()
    await cell.quiet()
    before = await cell.messages()
    answer = await cell.ask(operation)
    after = await cell.messages()
    if not answer.success:
        raise NotSteadyError(f"Without a strike {operation} was not done: {answer.status} {dict(answer.body)}")
    await cell.quiet()
    await _demand_clean(cell, "after")
    return Clean(start, await cell.state()), Recording.since(before, after), answer.took_ms


async def _demand_clean(cell: Cell, when: str) -> None:
    audited = await cell.audited()
    if audited.verdict != Verdict.PASSED:
        words = [found.sentence for found in audited.findings] + list(audited.reasons)
        raise NotSteadyError(f"The books are not right {when} the operation: {'; '.join(words)[:500]}")
