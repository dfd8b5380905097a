from contextlib import contextmanager
from dataclasses import replace

import pytest

from audits.checks import CHECKS
from audits.increments import INCREMENT_CHECKS
from audits.verdicts import Verdict
from gates.checks import integrity
from gates.checks.integrity import Base, judge_integrity


def names(outcome):
    return {line["name"] for line in outcome.measured["checks"]}


@contextmanager
def wrong_amount(books, sequence):
    """One balance event of the desk's ledger is 1 too high, behind the desk's back."""
    books.run("ALTER TABLE wartest.balance_events DROP CONSTRAINT IF EXISTS balance_events_check")
    change = "UPDATE wartest.balance_events SET amount = amount {} 1 WHERE sequence = {}"
    books.run(change.format("+", sequence))
    try:
        yield
    finally:
        books.run(change.format("-", sequence))


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(integrity, "SMALL_ROWS", 0)


def test_small_books_are_read_whole_and_judged_by_all_that_no_other_slot_judges(books):
    seen = judge_integrity(books.access, None)
    assert seen.verdict == Verdict.PASSED, seen.reason
    assert names(seen) == {check.name for check in CHECKS} - {"positions", "stops", "reconciliation"}
    assert all(line["rows"] for line in seen.measured["checks"])
    assert Base.of(seen.measured) is None


def test_of_large_books_the_next_slot_reads_what_is_new(books, large):
    whole = judge_integrity(books.access, None)
    base = Base.of(whole.measured)
    assert base
    assert base.rows == whole.measured["ledger_rows"]
    new = judge_integrity(books.access, base)
    assert new.verdict == Verdict.PASSED, new.reason
    assert names(new) == {check.name for check in INCREMENT_CHECKS}
    assert Base.of(new.measured)
    assert Base.of(new.measured).rows > base.rows


def test_where_the_new_does_not_join_on_the_whole_is_read_and_says_what_is_wrong(books, large):
    base = Base.of(judge_integrity(books.access, None).measured)
    (last,) = books.one("SELECT max(sequence) FROM wartest.balance_events")
    with wrong_amount(books, last):
        seen = judge_integrity(books.access, base)
    assert seen.measured["read"] == "whole"
    assert seen.verdict == Verdict.FAILED
    assert "balance row" in {found.rule for found in seen.findings}
    assert Base.of(seen.measured) is None


def test_a_check_that_could_not_be_carried_out_leaves_the_slot_inconclusive(books, monkeypatch):
    broken = [replace(check, findings_sql="SELECT 1 / 'x'") if check.name == "pnl" else check for check in CHECKS]
    kept = tuple(check for check in broken if check.name not in integrity.ELSEWHERE)
    monkeypatch.setattr(integrity, "INTEGRITY_CHECKS", kept)
    seen = judge_integrity(books.access, None)
    assert seen.verdict == Verdict.INCONCLUSIVE
    assert "could not be carried out" in seen.reason
