"""Judging: the worst verdict counts, nothing that breaks is a pass, and findings are bounded but all counted."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import duckdb
import pytest

from audits.checks import CHECKS
from audits.checks.balance_row import BALANCE_ROW
from audits.judge import KEPT_FINDINGS, judge
from audits.judge import _look as look_now
from audits.snapshot import take_snapshot
from audits.verdicts import Verdict
from tests.audits.books import BooksBroker, clean_books


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    books = clean_books()
    take_snapshot(books, BooksBroker(books), tmp_path / "it's one")
    return tmp_path / "it's one"


def test_an_exception_in_a_check_is_inconclusive_with_its_name(snapshot: Path) -> None:
    broken = replace(BALANCE_ROW, findings_sql="SELECT nothing FROM nowhere")
    judgement = judge(snapshot, (broken, *CHECKS))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "CatalogException" in judgement.results[0].reason
    assert all(result.verdict is Verdict.PASSED for result in judgement.results[1:])


def test_a_check_that_needs_what_is_not_there_says_what(snapshot: Path) -> None:
    judgement = judge(snapshot, (replace(BALANCE_ROW, needs=("balance_events", "moon")),))
    assert (judgement.verdict, judgement.results[0].reason) == (
        Verdict.INCONCLUSIVE,
        "the snapshot has no moon",
    )


def test_a_check_without_memory_beside_others_is_judged_alone(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_look, looking, seen_beside = Barrier(2, timeout=10), [], []

    def look(tables: Any, database: Any, check: Any) -> Any:
        looking.append(check.name)
        try:
            if check in CHECKS[:2] and not seen_beside:
                both_look.wait()
                raise duckdb.OutOfMemoryException("no memory for two")
            return look_now(tables, database, check)
        finally:
            looking.remove(check.name)
            if check in CHECKS[:2]:
                seen_beside.append(tuple(looking))

    monkeypatch.setattr("audits.judge._look", look)
    assert {result.verdict for result in judge(snapshot).results} == {Verdict.PASSED}
    assert seen_beside[-2:] == [(), ()]


def test_a_check_that_has_too_little_memory_alone_is_inconclusive(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def look(tables: Any, database: Any, check: Any) -> Any:
        tries.append(check.name)
        raise duckdb.OutOfMemoryException("no memory")

    monkeypatch.setattr("audits.judge._look", look)
    (result,) = judge(snapshot, (BALANCE_ROW,)).results
    assert (result.verdict, tries) == (Verdict.INCONCLUSIVE, ["balance_row", "balance_row"])
    assert "OutOfMemoryException: no memory" in result.reason


def test_no_check_at_all_is_inconclusive(snapshot: Path) -> None:
    assert judge(snapshot, ()).verdict is Verdict.INCONCLUSIVE


def test_many_findings_are_all_counted_but_not_all_kept(tmp_path: Path) -> None:
    books = clean_books()
    rows = books.rows("balance_events")
    first = rows[0]
    rows[:] = [
        first | {"event_id": f"b{number}", "sequence": number, "amount": Decimal(5) + (number == 400) * Decimal("1000")}
        for number in range(1, 501)
    ]
    take_snapshot(books, BooksBroker(books), tmp_path / "one", tie_limit_s=0)
    (result,) = judge(tmp_path / "one", (BALANCE_ROW,)).results
    (group,) = result.groups
    assert (result.rows, result.finding_count, len(result.findings)) == (500, 500, KEPT_FINDINGS)
    assert [each.where["event_id"] for each in (group.first, group.worst, group.last)] == ["b1", "b400", "b500"]
    assert (group.worst.expected, group.worst.difference) == ("101005", "-992.5")


def test_a_finding_says_its_values_and_keys(tmp_path: Path) -> None:
    books = clean_books()
    books.rows("balance_events")[0]["amount"] = Decimal("12.5001")
    take_snapshot(books, BooksBroker(books), tmp_path / "one", tie_limit_s=0)
    (result,) = judge(tmp_path / "one", (BALANCE_ROW,)).results
    (finding,) = result.findings
    assert finding.sentence == (
        "Balance event b1 (PNL_REALIZED) ends at 100012.5, but its balance before plus its amount is 100012.5001."
    )
    assert finding.where["event_id"] == "b1"
