"""The criteria of gate 4: what is required, what was measured, and the least evidence a pass may rest on. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audits.verdicts import Verdict, merge
from gates.criteria import STOPS, Criterion, Gap, Judged, gap_words
from gates.live_capital.days import Day, in_a_row
from gates.live_capital.plans import AUDIT, LivePlan

CRITERIA_OF = ("stops", "books", AUDIT, "hands", "limits")


@dataclass(frozen=True, slots=True)
class Live:
    """What the criteria look at: the days, the slots by check, how many hands there were, trades closed, and the gaps
    of the streams that stayed."""

    days: Sequence[Day]
    slots: Sequence[Judged]
    hands: int = 0
    trades: int = 0
    gaps: Sequence[Gap] = ()


def live_criteria(plan: LivePlan, live: Live) -> tuple[Criterion, ...]:
    """Judge a run of gate 4; the criteria's verdicts, merged, are the run's."""
    return (
        _days(plan, live.days),
        _stops(plan, live),
        _ledger(plan, live.slots),
        _hands(live),
        _limits(plan, live),
        _slots(live.slots),
    )


def _days(plan: LivePlan, days: Sequence[Day]) -> Criterion:
    row = in_a_row(days)
    measured = f"{row} of {plan.days} in a row"
    failed = next((day for day in days if day.status == "failed"), None)
    missed = next((day for day in days if day.status == "inconclusive"), None)
    if failed:
        verdict, reason = Verdict.FAILED, f"Day {failed.number} failed: {failed.words}"
    elif missed:
        verdict = Verdict.INCONCLUSIVE
        reason = f"Day {missed.number} is no evidence ({missed.words}): the month starts again at day 1."
    elif row < plan.days or len(days) < plan.days:
        verdict, reason = Verdict.INCONCLUSIVE, f"{plan.days - row} days are not over yet."
    else:
        verdict, reason = Verdict.PASSED, ""
    required = f"{plan.days} in a row, each whole"
    return Criterion("days without a critical error", required, measured, verdict, _sentence(reason))


def _stops(plan: LivePlan, live: Live) -> Criterion:
    mine = [row for row in live.slots if row.check_name == "stops"]
    touched = sum(int(row.measured.get("touches", 0)) for row in mine)
    executed = sum(int(row.measured.get("executed", 0)) for row in mine)
    verdict, reason = _verdict(mine), ""
    if verdict == Verdict.FAILED or (verdict == Verdict.PASSED and executed < touched):
        verdict, reason = Verdict.FAILED, "A touched stop was not executed as it should have been: see the findings."
    elif verdict == Verdict.PASSED and touched < plan.min_touches:
        verdict, reason = Verdict.INCONCLUSIVE, f"Only {touched} stops were touched; a pass needs {plan.min_touches}."
    elif verdict != Verdict.PASSED:
        reason = "Not every window of the month was judged clean."
    if live.gaps and verdict != Verdict.FAILED:
        verdict, reason = Verdict.INCONCLUSIVE, f"{gap_words(live.gaps)} {reason}".strip()
    required = f"100 % of at least {plan.min_touches} touched, each within {plan.stop_limit_s} s"
    return Criterion(STOPS, required, f"{executed} of {touched} executed", verdict, reason)


def _ledger(plan: LivePlan, slots: Sequence[Judged]) -> Criterion:
    books, audits = _of(slots, "books"), _of(slots, AUDIT)
    clean = [_passed(rows) for rows in (books, audits)]
    verdict = merge((_verdict(books), _verdict(audits)))
    reason = "" if verdict == Verdict.PASSED else "Not every look at the books was clean."
    if verdict == Verdict.PASSED and clean[1] < plan.audits:
        verdict, reason = Verdict.INCONCLUSIVE, f"Only {clean[1]} full audits were done; a pass needs {plan.audits}."
    measured = f"{clean[0]} of {plan.days} days clean, {clean[1]} of {plan.audits} full audits"
    required = f"books clean every day, {plan.audits} full audits"
    return Criterion("perfect ledger", required, measured, verdict, reason)


def _hands(live: Live) -> Criterion:
    mine = _of(live.slots, "hands")
    verdict, reason = _verdict(mine), ""
    if live.hands or verdict == Verdict.FAILED:
        verdict, reason = Verdict.FAILED, "Somebody besides the target touched the account, or the run."
    elif verdict != Verdict.PASSED:
        reason = "Not every stretch of the month was compared with what the target sent."
    return Criterion("nobody's hands", "0 transfers, orders, closes or stops by hand", str(live.hands), verdict, reason)


def _limits(plan: LivePlan, live: Live) -> Criterion:
    mine = _of(live.slots, "limits")
    passed, planned = _passed(mine), sum(row.count for row in mine)
    verdict = _verdict(mine)
    if verdict == Verdict.FAILED:
        reason = "A limit of the plan was broken: stop, and see the findings."
    elif verdict == Verdict.PASSED and live.trades < plan.min_trades:
        verdict, reason = Verdict.INCONCLUSIVE, f"Only {live.trades} trades closed; a pass needs {plan.min_trades}."
    else:
        reason = "" if verdict == Verdict.PASSED else "The limits were not looked at every time."
    measured = f"{passed} of {planned} looks within them, {live.trades} trades closed"
    required = f"never broken, in at least {plan.min_trades} trades"
    return Criterion("limits of the plan kept", required, measured, verdict, reason)


def _slots(slots: Sequence[Judged]) -> Criterion:
    """Every slot was filled; and what no other criterion looks at must have passed."""
    planned = sum(row.count for row in slots)
    done, holes = (sum(row.count for row in slots if row.state == state) for state in ("done", "hole"))
    others = [row for row in slots if row.check_name not in CRITERIA_OF and row.verdict not in (Verdict.PASSED, None)]
    verdict = Verdict.PASSED if planned and done == planned else Verdict.INCONCLUSIVE
    reason = "" if verdict == Verdict.PASSED else f"{planned - done} of {planned} slots were not filled."
    if others:
        verdict = merge((verdict, _verdict(others)))
        reason = f"Slots of other checks did not pass: {', '.join(sorted({row.check_name for row in others}))}."
    return Criterion("slots filled", "all, 0 holes", f"{done} of {planned}, {holes} holes", verdict, reason)


def _of(slots: Iterable[Judged], name: str) -> list[Judged]:
    return [row for row in slots if row.check_name == name]


def _passed(rows: Iterable[Judged]) -> int:
    return sum(row.count for row in rows if row.verdict == Verdict.PASSED)


def _verdict(rows: Iterable[Judged]) -> Verdict:
    """Merge the slots; one without a verdict is no evidence, and no slot is none either."""
    return merge(Verdict(row.verdict or Verdict.INCONCLUSIVE) for row in rows)


def _sentence(words: str) -> str:
    return words if not words or words.endswith(".") else f"{words}."
