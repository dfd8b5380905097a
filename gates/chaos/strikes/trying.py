"""One strike, tried until it is shown to be at its message, and followed to its end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from audits.verdicts import Verdict
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.digests import digest_of
from gates.chaos.messages import Receipt, Strike
from gates.chaos.strikes.contention import CONTENTION
from gates.chaos.strikes.experiments import EXPERIMENTS
from gates.chaos.strikes.invariants import Clean
from gates.chaos.strikes.receipts import proof_shape, receipt_shape
from gates.chaos.strikes.recovery import ACKNOWLEDGED, RESTARTED, Course, Result, follow
from gates.chaos.strikes.second_strikes import strike_recovery
from gates.chaos.strikes.staleness import STALENESS
from gates.chaos.strikes.striking import Journal, Striker, heal, make_strike, on_the_wire
from gates.chaos.strikes.whose_message import UNTOLD
from gates.chaos.trials import Trial

STRIKERS: dict[Strike, Striker] = {**CONTENTION, **STALENESS, **EXPERIMENTS}  # every other strike is made on the wire
TRIES = 4
LOG_CHARACTERS = 1500
AROUND = 4


@dataclass(frozen=True, slots=True)
class Judged:
    """A durable state that a kill has left before: the crash point that was followed from it, and its verdict."""

    crash_point: int
    verdict: Verdict
    reason: str


async def try_until_struck(
    cell: Cell, trial: Trial, clean: Clean, journal: Journal, judged: Mapping[str, Judged] | None = None
) -> Result:
    """`try_once`, patiently again where the moment did not come or another was struck, at most TRIES times in all.

    So is a pass that is unsure. One that stays so to the end is inconclusive: nothing shows that the operation was hit.
    Beside what a try has left none is made: it would meet another world, and say nothing of what must be undone.
    """
    result, unsure = Result(), False
    try:
        for tries in range(1, TRIES + 1):
            result = await try_once(cell, trial, clean, journal, judged)
            _note_tries(result, tries)
            unsure = result.unsure and result.verdict == Verdict.PASSED
            told = result.receipt is not None or not result.applies or result.findings
            if not unsure and (told or result.leaves):
                break
            cell.patient = True
        if unsure:
            result.concluded(Verdict.INCONCLUSIVE, UNTOLD)
    finally:
        cell.patient = False
    return result


def _note_tries(result: Result, tries: int) -> None:
    """Let the receipt say how often it took, or the reason how often it came to nothing."""
    result.tries = tries
    if result.receipt is not None:
        result.receipt["tries"] = tries
    elif result.applies and tries > 1:
        result.reason = f"{result.reason} It was tried {tries} times."


async def try_once(
    cell: Cell, trial: Trial, clean: Clean, journal: Journal, judged: Mapping[str, Judged] | None = None
) -> Result:
    """Strike once and follow the target to its end. A kill that left one of the `judged` states is not followed.

    1. Reset, start. 2. Strike, keep the receipt. 3. Heal; restart a killed target. 4. Wait for the recovery, and
    whether it stays over. 5. Invariants and the full audit. 6. Proof of life: one more open and close, and the books
    right again. 7. Restart once more: nothing may change, nothing may be sent.
    """
    began = time.monotonic()
    result = Result()
    await cell.reset()
    before = await cell.state()
    if another := clean.another_start(before):
        return result.concluded(Verdict.INCONCLUSIVE, another)
    await cell.start()
    striker = STRIKERS.get(trial.strike, on_the_wire)
    hit = await make_strike(cell, trial, striker, script=clean.script, journal=journal)
    try:
        result.messages = await _around(cell, hit.receipt)
        if hit.receipt is None:
            result.applies, result.leaves = hit.seen.applies, hit.seen.leaves
            if trial.cuts_all and not result.applies:
                await _survived(cell, Course(trial, hit, clean, before, journal), result)
                if result.applies:
                    return result
            return result.concluded(Verdict.INCONCLUSIVE, hit.seen.missed)
        result.receipt, result.unsure = receipt_shape(hit, hit.receipt), hit.unsure
        await journal.reached("struck")
        if trial.then is not None:
            second = await strike_recovery(cell, trial.then, clean.noise)
            result.messages += [RESTARTED, *await _around(cell, second.receipt)]
            if second.receipt is None:
                result.receipt, result.applies = None, second.applies  # half of what was asked for is none of it
                return result.concluded(Verdict.INCONCLUSIVE, f"In the recovery: {second.missed}")
            result.receipt["then"] = proof_shape(second.receipt)
        if trial.kills:
            exact = await digest_of(cell)
            result.after_kill = await digest_of(cell, clean.noise) if clean.noise else exact
            result.exact = f"{exact}{ACKNOWLEDGED}" if hit.answer.success else exact
        known = (judged or {}).get(result.exact)
        if known is not None:
            result.same_as = known.crash_point
            return result.concluded(known.verdict, known.reason)
        await follow(cell, Course(trial, hit, clean, before, journal), result)
    finally:
        await heal(cell, kills=trial.kills)
        await journal.healed()
        result.log = cell.target.last_words(LOG_CHARACTERS)
        result.took_ms = round((time.monotonic() - began) * 1000, 1)
    return result


async def _survived(cell: Cell, course: Course, result: Result) -> None:
    """Follow a target whose connections were cut, though none was refused: it does not apply only where it passes."""
    await course.journal.reached("struck")
    await follow(cell, course, result)
    result.applies = result.verdict != Verdict.PASSED


async def _around(cell: Cell, receipt: Receipt | None) -> list[str]:
    """The labels of the messages around the strike, the struck one marked."""
    messages = await cell.messages()
    struck = receipt.message if receipt else None
    at_s = struck.at_s if struck else messages[-1].at_s if messages else 0.0
    place = next((number for number, message in enumerate(messages) if message.at_s >= at_s), len(messages))
    near = messages[max(0, place - AROUND) : place + AROUND + 1]
    return [f"{'→ ' if struck and message.point == struck.point else ''}{message.label}" for message in near]
