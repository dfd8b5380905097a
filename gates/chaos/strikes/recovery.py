"""After a strike: does the target come back by itself, with its books right, and does it still trade?"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from audits.findings import Finding
from audits.verdicts import Verdict
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.states import State, difference
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.messages import Strike
from gates.chaos.strikes.invariants import Aftermath, Clean, broken
from gates.chaos.strikes.settling import RECOVERY_LIMIT_S, REST_S, rested, wall
from gates.chaos.strikes.shortfalls import critical, may_come_right, not_recovered, not_replaced, shown_by_receipt
from gates.chaos.strikes.still_trading import dealt_once_more, restarted_without_cause
from gates.chaos.strikes.striking import Hit, Journal, heal
from gates.chaos.trials import Trial

JUDGED_AGAIN_S = 1.0
RESTARTED = "the target is started again"
ACKNOWLEDGED = "+"  # what was acknowledged and then lost, no state tells


@dataclass(slots=True)
class Result:
    """What one strike showed.

    `after_kill` names the durable state that the kill left, without the noise of the clean runs, `exact` with all of
    it, and with ACKNOWLEDGED behind it where the caller was told that the operation was done: by that alone another
    strike's recovery may stand for this one. `end` says which legal end was reached. One that does not apply has no
    verdict of its own. `same_as` is the number of the crash point that stands for this one.
    `unsure` says that the message struck may have been the background's, see `striking.Hit`. `tries` counts how often
    it was made until it was shown to be at its message. `leaves` as in `striking.Seen`. `silent` says that the recovery
    was recorded, twice, and sends nothing that could be struck.
    """

    verdict: Verdict = Verdict.INCONCLUSIVE
    applies: bool = True
    reason: str = ""
    receipt: dict[str, Any] | None = None
    recovery_ms: float | None = None
    findings: list[Finding] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    after_kill: str = ""
    exact: str = ""
    same_as: int | None = None
    end: str = ""
    messages: list[str] = field(default_factory=list)
    log: str = ""
    took_ms: float = 0.0
    unsure: bool = False
    leaves: bool = False
    tries: int = 1
    silent: bool = False

    def concluded(self, verdict: Verdict, reason: str) -> "Result":
        """Set the verdict and say why."""
        self.verdict, self.reason = verdict, reason
        return self


@dataclass(frozen=True, slots=True)
class Course:
    """A strike that was made, and what is known of the cell before it: its clean run, and its state then.

    Without a `trial` nothing was struck, and `hit` is only what the operation was answered.
    """

    trial: Trial | None
    hit: Hit
    clean: Clean
    before: State
    journal: Journal

    @property
    def kills(self) -> bool:
        """Whether the target was killed by us."""
        return self.trial is not None and self.trial.kills

    @property
    def half_open(self) -> bool:
        """Whether the dead target's connections are left open until it has recovered."""
        return self.trial is not None and self.trial.half_open

    @property
    def may_have_died(self) -> bool:
        """Whether the strike explains a target that is dead: it is started again, and has failed after any other."""
        return self.kills or (self.trial is not None and self.trial.strike is Strike.EXPERIMENT)


async def follow(cell: Cell, course: Course, result: Result) -> None:
    """From a strike that was made, or from nothing, to its end: heal, restart, recovery, audit, proof of life, restart.

    Life is asked of the process that recovered: a restart would mend what it has lost for good, as a connection that
    nobody opens again.
    """
    recovered_from = course.hit.seen.struck_at
    await course.journal.reached("healing")
    if not course.half_open:
        await heal(cell, kills=course.kills)
    await course.journal.reached("recovering")
    try:
        if course.may_have_died and not cell.target.alive:
            recovered_from = time.monotonic()
            await cell.start()
        since = wall(recovered_from) if course.kills else 0.0
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
        await heal(cell, kills=course.kills)
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


async def judged(cell: Cell, course: Course) -> Result:
    """What is found in the books as they are now, as after every recovery."""
    result = Result()
    await _judge(cell, course, result)
    return result


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


def _end_of(after: State, clean: Clean) -> str:
    end = after.economy()
    if end == clean.end.economy():
        return "done"
    return "not done" if end == clean.start.economy() else "neither"
