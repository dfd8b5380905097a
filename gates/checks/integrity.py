"""Integrity: the target's books by the audit's own checks, whole while they are small, else what is new in them.

A ledger of years is not read again each hour: once a slot has passed on a large one, or an audit of it whole, the next
slots judge what was booked since (`audits.increments` says what that relies on). Gate 3 always reads everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from audits.checks import CHECKS, Check
from audits.increments import INCREMENT_CHECKS, Marks, marks_from_json, marks_of, marks_to_json
from audits.judge import CheckResult, judge
from audits.relation_files import SnapshotUnreadable
from audits.snapshot import Snapshot
from audits.verdicts import Verdict
from gates.checks.books import increment_of, snapshot_of
from gates.checks.ledger import measured_of, outcome_of, reader_of
from gates.checks.outcome import Outcome
from gates.targets.access import Access

# Judged by slots of their own, within the run: what lies before it must not fail it again each hour.
ELSEWHERE = frozenset({"positions", "stops", "reconciliation"})
INTEGRITY_CHECKS: tuple[Check, ...] = tuple(check for check in CHECKS if check.name not in ELSEWHERE)
# A young ledger may have no order yet. The balance it must have, and the broker's beside it.
ALWAYS_SEEN = frozenset(check.name for check in INCREMENT_CHECKS)
NOTHING_YET = {check.name: check.empty for check in INTEGRITY_CHECKS if check.name not in ALWAYS_SEEN}
SMALL_ROWS = 200_000  # read and judged whole in a few seconds


@dataclass(frozen=True, slots=True)
class Base:
    """How far the books were judged `by` the last that passed, and how large they were then, in rows."""

    marks: Marks
    rows: int
    by: str = "the slot before"

    @classmethod
    def of(cls, measured: dict[str, Any]) -> "Base | None":
        """Read it from what a slot measured; None where the books were small, and are read whole again."""
        if "marks" not in measured:
            return None
        return cls(marks_from_json(measured["marks"]), int(measured["ledger_rows"]))

    @classmethod
    def audited(cls, snapshot: Snapshot) -> "Base | None":
        """Read it from the sealed snapshot of an audit that passed; None where the books were small.

        Raises SnapshotUnreadable.
        """
        rows = sum(file.rows for file in snapshot.relations.values())
        return cls(marks_of(snapshot), rows, "the last audit") if rows > SMALL_ROWS else None


def judge_integrity(access: Access, base: Base | None) -> Outcome:
    """Judge the books, from `base` on where there is one; an increment that does not join on is read whole."""
    if base is not None:
        try:
            return _new(access, base)
        except SnapshotUnreadable:
            pass  # the whole says by name what is wrong
    return _whole(access)


def _whole(access: Access) -> Outcome:
    with reader_of(access) as broker, snapshot_of(access, broker) as snapshot:
        results = _evident(judge(snapshot.directory, INTEGRITY_CHECKS).results)
        rows = sum(file.rows for file in snapshot.relations.values())
        measured = measured_of(snapshot, results) | {"read": "whole", "ledger_rows": rows}
        return _marked(outcome_of(results, measured), snapshot, None)


def _new(access: Access, base: Base) -> Outcome:
    with reader_of(access) as broker, increment_of(access, broker, base.marks) as snapshot:
        results = judge(snapshot.directory, INCREMENT_CHECKS).results
        new = sum(file.rows for file in snapshot.relations.values())
        measured = measured_of(snapshot, results) | {
            "read": f"{new} rows, booked since {base.by}",
            "ledger_rows": base.rows + new,
        }
        return _marked(outcome_of(results, measured), snapshot, base.marks)


def _evident(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Leave out checks that do not apply, and those that had nothing to look at yet though a young ledger may.

    A check that could not be carried out stays, and with it the slot is inconclusive.
    """
    return tuple(
        result
        for result in results
        if result.applies and not (result.reason and result.reason == NOTHING_YET.get(result.name))
    )


def _marked(outcome: Outcome, snapshot: Snapshot, before: Marks | None) -> Outcome:
    """Add how far a large ledger was judged, if it has passed: the next slot goes on from there."""
    if outcome.verdict == Verdict.PASSED and outcome.measured["ledger_rows"] > SMALL_ROWS:
        outcome.measured["marks"] = marks_to_json(marks_of(snapshot, before))
    return outcome
