"""After a strike: does the target come back by itself, with its books right, and does it still trade?"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audits.findings import Finding
from audits.verdicts import Verdict
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.states import State, difference
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.messages import Receipt, Strike
from gates.chaos.strikes.contention import CONTENTION
from gates.chaos.strikes.experiments import EXPERIMENTS
from gates.chaos.strikes.invariants import Aftermath, Clean, broken
from gates.chaos.strikes.receipts import proof_shape, receipt_shape
from gates.chaos.strikes.second_strikes import strike_recovery
from gates.chaos.strikes.settling import RECOVERY_LIMIT_S, REST_S, rested, wall
from gates.chaos.strikes.shortfalls import critical, may_come_right, not_recovered, not_replaced, shown_by_receipt
from gates.chaos.strikes.staleness import STALENESS
from gates.chaos.strikes.still_trading import dealt_once_more, restarted_without_cause
from gates.chaos.strikes.striking import Hit, Journal, Striker, heal, make_strike, on_the_wire
from gates.chaos.strikes.whose_message import UNTOLD
from gates.chaos.trials import Trial

STRIKERS: dict[Strike, Striker] = {**CONTENTION, **STALENESS, **EXPERIMENTS}  # every other strike is made on the wire
TRIES = 4
LOG_CHARACTERS = 1500
JUDGED_AGAIN_S = 1.0
RESTARTED = "the target is started again"
AROUND = 4


@dataclass(slots=True)
class Result:
    """What one strike showed.

    `after_kill` names the durable state that the kill left, `end` which legal end was reached. One that does not
    apply has no verdict of its own. `same_as` is the number of the crash point whose recovery stands for this one.
    `unsure` says that the message struck may have been the background's, see `striking.Hit`. `tries` counts how often
    it was made until it was shown to be at its message. `leaves` as in `striking.Seen`.
    """

    verdict: Verdict = Verdict.INCONCLUSIVE
    applies: bool = True
    reason: str = ""
    receipt: dict[str, Any] | None = None
    recovery_ms: float | None = None
    findings: list[Finding] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    after_kill: str = ""
    same_as: int | None = None
    end: str = ""
    messages: list[str] = field(default_factory=list)
    log: str = ""
    took_ms: float = 0.0
    unsure: bool = False
    leaves: bool = False
    tries: int = 1

    def concluded(self, verdict: Verdict, reason: str) -> "Result":
        """Set the verdict and say why."""
        self.verdict, self.reason = verdict, reason
        return self


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
            if not unsure and (result.receipt is not None or not result.applies or result.leaves):
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
            return result.concluded(Verdict.INCONCLUSIVE, hit.seen.missed)
        result.receipt, result.unsure = receipt_shape(hit, hit.receipt), hit.unsure
        await journal.reached("struck")
        if trial.then is not None:
            second = await strike_recovery(cell, trial.then)
            result.messages += [RESTARTED, *await _around(cell, second.receipt)]
            if second.receipt is None:
                result.receipt, result.applies = None, second.applies  # half of what was asked for is none of it
                return result.concluded(Verdict.INCONCLUSIVE, f"In the recovery: {second.missed}")
            result.receipt["then"] = proof_shape(second.receipt)
        if trial.kills:
            result.after_kill = await cell.durable_digest()
        known = (judged or {}).get(result.after_kill)
        if known is not None:
            result.same_as = known.crash_point
            return result.concluded(known.verdict, known.reason)
        await follow(cell, Course(trial, hit, clean, before, journal), result)
    finally:
        await heal(cell, trial)
        await journal.healed()
        result.log = cell.target.last_words(LOG_CHARACTERS)
        result.took_ms = round((time.monotonic() - began) * 1000, 1)
    return result


@dataclass(frozen=True, slots=True)
class Course:
    """A strike that was made, and what is known of the cell before it: its clean run, and its state then."""

    trial: Trial
    hit: Hit
    clean: Clean
    before: State
    journal: Journal


async def follow(cell: Cell, course: Course, result: Result) -> None:
    """From a strike that was made to its end: heal, restart, recovery, audit, proof of life, one more restart.

    Life is asked of the process that recovered: a restart would mend what it has lost for good, as a connection that
    nobody opens again.
    """
    trial, recovered_from = course.trial, course.hit.seen.struck_at
    await course.journal.reached("healing")
    if not trial.half_open:
        await heal(cell, trial)
    await course.journal.reached("recovering")
    try:
        if trial.kills or (trial.strike is Strike.EXPERIMENT and not cell.target.alive):
            recovered_from = time.monotonic()
            await cell.start()
        since = wall(recovered_from) if trial.kills else 0.0
        deadline = recovered_from + RECOVERY_LIMIT_S
        after, over_at = await _judge_in_time(cell, course, result, since=since, deadline=deadline)
    except TargetNotReadyError as error:
        result.findings = [not_recovered(error)]
        if cell.target.alive:
            result.findings += not_replaced(course.hit.receipt, await cell.messages())
        await _judge(cell, course, result)
        return
    result.recovery_ms = round((over_at - recovered_from) * 1000, 1)
    if result.verdict == Verdict.PASSED:
        await heal(cell, trial)
        after = await _life(cell, after, result)
    if result.verdict == Verdict.PASSED:
        await _second_restart(cell, after, result)


def demand_end(result: Result, end: str) -> None:
    """Fail a recovery that passed but came to another end than the only legal one; without an `end` both are."""
    if end and result.verdict == Verdict.PASSED and result.same_as is None and result.end != end:
        result.findings.append(critical("expectation", end, result.end or "nothing was seen"))
        _conclude(result)


async def _judge_in_time(
    cell: Cell, course: Course, result: Result, *, since: float, deadline: float
) -> tuple[State, float]:
    """Judge once the target rests, and again while all that is wrong may come right, until it had its time for that.

    Returns the state judged last, and when the target was at rest in it; of one that is never right, at rest first.
    Raises TargetNotReadyError.
    """
    over_at = await rested(cell, deadline, since=since)
    await course.journal.reached("verifying")
    result.findings += shown_by_receipt(course.hit.receipt)
    after = await _judge(cell, course, result)
    last = min(deadline, over_at + cell.premises.program.catch_up_s) - JUDGED_AGAIN_S - REST_S
    while result.verdict != Verdict.PASSED and may_come_right(result.findings) and time.monotonic() < last:
        await asyncio.sleep(JUDGED_AGAIN_S)
        again_at = await rested(cell, deadline, since=since)
        result.findings = []
        after = await _judge(cell, course, result)
        over_at = again_at if result.verdict == Verdict.PASSED else over_at
    return after, over_at


async def _judge(cell: Cell, course: Course, result: Result) -> State:
    """Invariants, audit and state difference, into the result."""
    after = await cell.state()
    acknowledged = course.hit.answer.body if course.hit.answer.success else None
    seen = Aftermath(course.clean, course.before, after, acknowledged, cell.premises.protection_limit_s)
    result.findings += broken(seen)
    result.changes = difference(seen.before, after)
    result.end = _end_of(after, seen.clean)
    await _audit(cell, result, "after the recovery")
    return after


async def _life(cell: Cell, before: State, result: Result) -> State:
    """Proof of life and the books after it, into the result; the state that it leaves."""
    result.findings += await dealt_once_more(cell, before)
    if result.findings:
        _conclude(result)
        return before
    after = await cell.state()
    await _audit(cell, result, "after one more open and close")
    return after


async def _second_restart(cell: Cell, before: State, result: Result) -> None:
    """A restart without cause, into the result."""
    findings, changes = await restarted_without_cause(cell, before)
    result.findings += findings
    if changes:
        result.changes |= {"second restart": changes}
    _conclude(result)


async def _audit(cell: Cell, result: Result, when: str) -> None:
    audited = await cell.audited()
    result.findings += audited.findings
    _conclude(result)
    if result.verdict == Verdict.PASSED and audited.verdict != Verdict.PASSED:
        result.concluded(audited.verdict, f"The audit {when}: {'; '.join(audited.reasons) or audited.verdict}")


def _conclude(result: Result) -> None:
    if result.findings:
        result.concluded(Verdict.FAILED, result.findings[0].sentence)
    else:
        result.concluded(Verdict.PASSED, "")


async def _around(cell: Cell, receipt: Receipt | None) -> list[str]:
    """The labels of the messages around the strike, the struck one marked."""
    messages = await cell.messages()
    struck = receipt.message if receipt else None
    at_s = struck.at_s if struck else messages[-1].at_s if messages else 0.0
    place = next((number for number, message in enumerate(messages) if message.at_s >= at_s), len(messages))
    near = messages[max(0, place - AROUND) : place + AROUND + 1]
    return [f"{'→ ' if struck and message.point == struck.point else ''}{message.label}" for message in near]


def _end_of(after: State, clean: Clean) -> str:
    end = after.economy()
    if end == clean.end.economy():
        return "done"
    return "not done" if end == clean.start.economy() else "neither"
