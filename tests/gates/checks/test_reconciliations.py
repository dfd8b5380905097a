from datetime import UTC, datetime, timedelta
from decimal import Decimal

from gates.checks.reconciliations import MISMATCH, SLOW, judge_reconciliations

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(number, *, ms="12.5", mismatches=0):
    return {
        "reconciliation_id": f"r{number}",
        "started_at": START + timedelta(seconds=10 * number),
        "duration_ms": Decimal(ms),
        "mismatches": mismatches,
    }


def judged(*rows, known=()):
    return judge_reconciliations(rows, limit_ms=1000, known=known)


def test_a_log_without_mismatches_is_counted_and_finds_nothing():
    seen = judged(row(1), row(0, ms="1000"))
    assert (seen.count, seen.mismatches, seen.slowest_ms, seen.findings) == (2, 0, Decimal(1000), ())


def test_a_mismatch_is_critical_and_a_slow_one_high():
    seen = judged(row(2, ms="1000.1"), row(1, mismatches=3))
    assert [(found.rule, found.level, found.difference) for found in seen.findings] == [
        (MISMATCH, "critical", "3"),
        (SLOW, "high", "0.1"),
    ]
    assert seen.findings[0].where == {"reconciliation_id": "r1", "started_at": "2026-03-01T12:00:10+00:00"}


def test_what_was_found_before_is_counted_but_not_found_again():
    seen = judged(row(1, mismatches=3), row(2, mismatches=1), known={"r1"})
    assert seen.mismatches == 4
    assert [found.where["reconciliation_id"] for found in seen.findings] == ["r2"]


def test_no_reconciliation_is_no_evidence_and_says_so_by_its_count():
    assert judged().count == 0
