"""The clean run of an operation, done until two agree: where it starts, where it ends, and the messages in between."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from audits.findings import Finding
from audits.verdicts import Verdict
from gates.chaos.baseline import Baseline, Recording, agreeing, baseline
from gates.chaos.cells.beginnings import FLAT, HOLDING
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.digests import kept_by
from gates.chaos.cells.noise import Kept, learned
from gates.chaos.cells.states import difference
from gates.chaos.cells.target import Answer, TargetNotReadyError
from gates.chaos.strikes.invariants import Clean
from gates.chaos.strikes.recovery import Course, Result, follow
from gates.chaos.strikes.striking import Hit, Seen, Unwritten

TIMES = 2
TIMES_AT_MOST = 6  # the background may speak in between, with messages that are like the operation's
STARTS_FROM = {"open": FLAT}  # every other starts with open positions: two, unless the target holds one at a time


class NotSteadyError(Exception):
    """The steady state is not met: without a strike the books are not right, two clean runs do not end alike, or what
    follows each strike finds something where nothing was struck.
    """


@dataclass(frozen=True, slots=True)
class CleanRun:
    """What is known of an operation when nothing strikes. `build` is what the program showed, or empty."""

    operation: str
    clean: Clean
    baseline: Baseline
    recordings: tuple[Recording, ...]
    took_ms: float
    build: str = ""


@dataclass(frozen=True, slots=True)
class _Once:
    """The operation done once: how it went, its messages, what it was answered, and what the target keeps of it."""

    clean: Clean
    recording: Recording
    answer: Answer
    kept: Kept


async def record_clean(cell: Cell, operation: str) -> CleanRun:
    """Prepare the cell and do the operation until two recordings agree, at least twice and at most TIMES_AT_MOST.

    1. The books before it must audit clean. 2. It must succeed. 3. The books after it must audit clean.
    4. From its answer on nothing may change. 5. All runs must end alike; what then still differs is noise.
    6. What every strike is followed by must find nothing in the last of them.

    Raises NotSteadyError, which makes a scenario inconclusive, not failed.
    """
    if operation not in cell.premises.program.operations:
        raise NotSteadyError(f"The target's description has no operation {operation!r}.")
    await prepare(cell, operation)
    first = last = await _once(cell, operation)
    recordings, kept, agreed = [first.recording], [first.kept], None
    while agreed is None and len(recordings) < TIMES_AT_MOST:
        last = await _once(cell, operation)
        if _economies(last.clean) != _economies(first.clean):
            raise NotSteadyError(f"Two clean runs of {operation} do not end alike.")
        recordings.append(last.recording)
        kept.append(last.kept)
        agreed = agreeing(recordings)
    if agreed is None:
        words = f"no two of {TIMES_AT_MOST} clean runs sent the same messages in the same order"
        raise NotSteadyError(f"{operation}: {words}, so that no strike could be shown to be at its message.")
    found = baseline(agreed)
    if not found.points:
        raise NotSteadyError(f"{operation} sent no message that two clean runs share: there is nothing to strike.")
    clean, build = replace(first.clean, script=found.script, noise=learned(kept)), cell.target.build
    await _strike_nothing(cell, clean, last)
    return CleanRun(operation, clean, found, agreed, first.answer.took_ms, build)


async def prepare(cell: Cell, operation: str) -> None:
    """Prepare the state that the operation starts from. Raises NotSteadyError."""
    try:
        await cell.prepare(STARTS_FROM.get(operation, HOLDING))
    except TargetNotReadyError as error:
        raise NotSteadyError(f"The target cannot be prepared for {operation}: {error}") from error


async def _strike_nothing(cell: Cell, clean: Clean, last: _Once) -> None:
    """Follow the clean run that was made last as a strike is followed, so that nothing is held against a strike that is
    so without one. Raises NotSteadyError.
    """
    result, unstruck = Result(), Hit(Seen(None, time.monotonic()), last.answer)
    await follow(cell, Course(None, unstruck, clean, last.clean.start, Unwritten()), result)
    if result.verdict != Verdict.PASSED:
        words = _words(result.findings, [result.reason])
        raise NotSteadyError(f"without any strike this is found, and would be held against each: {words}")


def _economies(clean: Clean) -> tuple[object, object]:
    return clean.start.economy(), clean.end.economy()


async def _once(cell: Cell, operation: str) -> _Once:
    await cell.reset()
    try:
        await cell.start()
    except TargetNotReadyError as error:
        raise NotSteadyError(str(error)) from error
    await cell.quiet()
    await _demand_clean(cell, "before")
    start = await cell.state()
    known = await cell.quiet()
    answer = await cell.ask(operation)
    after = await cell.messages()
    at_answer = await cell.state()
    if not answer.success:
        raise NotSteadyError(f"Without a strike {operation} was not done: {answer.status} {dict(answer.body)}")
    await cell.quiet()
    await _demand_clean(cell, "after")
    end = await cell.state()
    if later := difference(at_answer, end):
        words = f"it has answered that it was done, and then changed {', '.join(later)}: that would not be struck"
        raise NotSteadyError(f"{operation} goes on after its answer: {words}. Let it answer, or `done` be true, later.")
    return _Once(Clean(start, end), Recording.since(known, after), answer, await kept_by(cell))


async def _demand_clean(cell: Cell, when: str) -> None:
    audited = await cell.audited()
    if audited.verdict != Verdict.PASSED:
        words = _words(audited.findings, audited.reasons)
        raise NotSteadyError(f"The books are not right {when} the operation: {words}")


def _words(findings: Iterable[Finding], reasons: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys((*(found.sentence for found in findings), *reasons)))[:500]
