"""The criteria of gate 1: what is required, what was measured, and the least evidence a pass may rest on. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from audits.verdicts import Verdict, merge
from gates.plans import Plan


@dataclass(frozen=True, slots=True)
class Judged:
    """`count` slots of one check that ended alike, as the criteria see them: `state` is due, done or hole.

    `measured` is what they saw together: the sums of `touches` and `executed` (of slots that missed a stop and slots
    that did not, each on their own), the largest `reconciliations`, `reconciliation_mismatches`, `latency_max_ms` and
    `slippage_worst_pips`.
    """

    check_name: str
    state: str
    verdict: str | None
    measured: dict[str, Any]
    count: int = 1


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the table that decides the gate."""

    name: str
    required: str
    measured: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a stream of the run (`prices` or `transactions`) told nothing that could be read again."""

    kind: str
    since: datetime
    until: datetime


STOPS = "stops executed"
CRITERIA_OF = ("health", "positions", "integrity", "stops", "hands")


def criteria(
    plan: Plan, slots: Iterable[Judged], events: Iterable[tuple[str, str]], gaps: Sequence[Gap] = ()
) -> tuple[Criterion, ...]:
    """Judge a run from all of its slots and from what happened, its events (kind, level) and findings (rule, level).

    `gaps` are those of its streams that stayed, in order of time. Merging the verdicts gives the run's.
    """
    rows, happened = tuple(slots), tuple(events)
    return (
        _critical_errors(rows, happened),
        _stops(plan, rows, gaps),
        _balance(rows),
        _mismatches(plan, rows),
        _hands(rows, happened),
        _slots_filled(rows),
    )


def verdict_of(table: Iterable[Criterion]) -> Verdict:
    """Merge the criteria: the worst decides, and no criteria at all is inconclusive."""
    return merge(criterion.verdict for criterion in table)


def _critical_errors(rows: tuple[Judged, ...], events: tuple[tuple[str, str], ...]) -> Criterion:
    found = sum(level == "critical" or kind == "intervention" for kind, level in events)
    health = _verdict_of_check(rows, "health")
    measured = f"{found} in {_seen(rows, 'health')} health checks"
    verdict = Verdict.FAILED if found else health
    if found:
        reason = f"{found} critical errors or interventions; none may be."
    else:
        reason = "" if verdict == Verdict.PASSED else "Health was not seen at every due time."
    return Criterion("critical errors", "0", measured, verdict, reason)


def _stops(plan: Plan, rows: tuple[Judged, ...], gaps: Sequence[Gap]) -> Criterion:
    mine = [row for row in rows if row.check_name == "stops"]
    touched = sum(int(row.measured.get("touches", 0)) for row in mine)
    executed = sum(int(row.measured.get("executed", 0)) for row in mine)
    required = f"100 % of at least {plan.min_touches} touched, each within {plan.stop_limit_s} s"
    measured = f"{executed} of {touched} executed{_how_well(mine)}"
    verdict = _verdict_of_check(rows, "stops")
    # A touch whose time limit was not over when it was looked at makes its slot inconclusive, not missed.
    if any(row.verdict == Verdict.PASSED and _missed(row) for row in mine):
        verdict = Verdict.FAILED
    if verdict == Verdict.FAILED:
        reason = "A touched stop was not executed as it should have been: see the findings."
    elif verdict == Verdict.PASSED and touched < plan.min_touches:
        verdict, reason = Verdict.INCONCLUSIVE, f"Only {touched} stops were touched; a pass needs {plan.min_touches}."
    else:
        reason = "" if verdict == Verdict.PASSED else "Not every window of the run was judged clean."
    if gaps and verdict != Verdict.FAILED:
        verdict, reason = Verdict.INCONCLUSIVE, f"{gap_words(gaps)} {reason}".strip()
    return Criterion(STOPS, required, measured, verdict, reason)


def gap_words(gaps: Sequence[Gap]) -> str:
    """Name the first gap of a run's streams, and how many there were; `gaps` has one at least."""
    first = gaps[0]
    since, until = (at.astimezone(UTC).strftime("%m-%d %H:%M:%S") for at in (first.since, first.until))
    lasted_s = (first.until - first.since).total_seconds()
    more = f", the first of {len(gaps)} gaps" if len(gaps) > 1 else ""
    told = f"for {lasted_s:.1f} s, {since} to {until} UTC{more}"
    return f"The stream of {first.kind} told nothing {told}: stops touched then were not seen as it happened."


def _how_well(rows: list[Judged]) -> str:
    """Say the slowest execution and the worst slippage, where there was any."""
    latencies = [float(value) for value in _values(rows, "latency_max_ms")]
    slippages = [float(value) for value in _values(rows, "slippage_worst_pips")]
    words = f", slowest in {max(latencies):.0f} ms" if latencies else ""
    return words + (f", worst slippage {max(slippages):g} pips" if slippages else "")


def _values(rows: list[Judged], name: str) -> list[Any]:
    return [row.measured[name] for row in rows if row.measured.get(name) is not None]


def _missed(row: Judged) -> bool:
    return int(row.measured.get("executed", 0)) < int(row.measured.get("touches", 0))


def _balance(rows: tuple[Judged, ...]) -> Criterion:
    verdict, measured, reason = _of_check(rows, "integrity")
    return Criterion("perfect ledger balance", "every integrity check clean", measured, verdict, reason)


def _mismatches(plan: Plan, rows: tuple[Judged, ...]) -> Criterion:
    """Two witnesses: our own comparison, and the target's log of its reconciliations, which each slot reads whole."""
    verdict, measured, reason = _of_check(rows, "positions")
    mine = [row.measured for row in rows if row.check_name == "positions"]
    own = max((int(values.get("reconciliations", 0)) for values in mine), default=0)
    found = max((int(values.get("reconciliation_mismatches", 0)) for values in mine), default=0)
    if found:
        verdict, reason = Verdict.FAILED, f"The target's own reconciliations found {found} mismatches."
    elif verdict == Verdict.PASSED and own < plan.min_reconciliations:
        verdict = Verdict.INCONCLUSIVE
        reason = f"The target reconciled {own} times in this run; a pass needs {plan.min_reconciliations}."
    own_ones = f"{plan.min_reconciliations} reconciliations of its own, each within {plan.reconciliation_limit_ms} ms"
    required = f"every comparison equal; 0 in at least {own_ones}"
    measured = f"{measured}; {found} in {own} of its own"
    return Criterion("zero reconciliation mismatches", required, measured, verdict, reason)


def _hands(rows: tuple[Judged, ...], events: tuple[tuple[str, str], ...]) -> Criterion:
    found = sum(kind == "intervention" for kind, _ in events)
    verdict = Verdict.FAILED if found else _verdict_of_check(rows, "hands")
    measured = f"{found} in {_seen(rows, 'hands')} looks"
    if found:
        reason = f"{found} times somebody or something else than the target had its hands in the run: see its log."
    else:
        reason = "" if verdict == Verdict.PASSED else "Hands were not looked for at every due time."
    return Criterion("nobody's hands", "0 interventions", measured, verdict, reason)


def _of_check(rows: tuple[Judged, ...], check_name: str) -> tuple[Verdict, str, str]:
    """Return the check's merged verdict, how many of its slots are clean, and why it did not pass."""
    verdict = _verdict_of_check(rows, check_name)
    mine = [row for row in rows if row.check_name == check_name]
    passed = sum(row.count for row in mine if row.verdict == Verdict.PASSED)
    planned = sum(row.count for row in mine)
    reason = "" if verdict == Verdict.PASSED else f"{planned - passed} of {planned} slots did not pass."
    return verdict, f"{passed} of {planned} slots clean", reason


def _slots_filled(rows: tuple[Judged, ...]) -> Criterion:
    planned = sum(row.count for row in rows)
    done, holes = (sum(row.count for row in rows if row.state == state) for state in ("done", "hole"))
    verdict = Verdict.PASSED if planned and done == planned else Verdict.INCONCLUSIVE
    if holes:
        reason = f"{holes} slots were not filled: nothing is known of those times."
    else:
        reason = "" if verdict == Verdict.PASSED else f"{planned - done} slots are not judged yet."
    others = [row for row in rows if row.check_name not in CRITERIA_OF and row.verdict != Verdict.PASSED]
    if others:  # what no criterion looks at must not be lost either
        verdict = merge([verdict, *(Verdict(row.verdict or Verdict.INCONCLUSIVE) for row in others)])
        reason = f"Slots of other checks did not pass: {', '.join(sorted({row.check_name for row in others}))}."
    return Criterion("slots filled", "all, 0 holes", f"{done} of {planned}, {holes} holes", verdict, reason)


def _verdict_of_check(rows: tuple[Judged, ...], check_name: str) -> Verdict:
    """Merge one check's slots; a slot without a verdict is no evidence."""
    return merge(Verdict(row.verdict or Verdict.INCONCLUSIVE) for row in rows if row.check_name == check_name)


def _seen(rows: tuple[Judged, ...], check_name: str) -> int:
    return sum(row.count for row in rows if row.check_name == check_name and row.state == "done")
