"""Loose books: what a sealed snapshot is judged to be, they are too, and what it refuses, they refuse."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from audits import loose
from audits.contract import Relation
from audits.judge import CheckResult, judge, judge_loose
from audits.loose import TooManyRowsError, read_loose
from audits.snapshot import SnapshotUnreadable, take_snapshot
from audits.sources.postgres import PostgresLedger
from audits.verdicts import Verdict
from tests.audits.books import Books, BooksBroker, BooksMoment, clean_books
from tests.audits.test_snapshot import add_fill, fill


def without_time(results: tuple[CheckResult, ...]) -> list[CheckResult]:
    return [replace(result, duration_s=0.0) for result in results]


def set_to(relation: str, column: str, value: Any) -> Callable[[Books], None]:
    def damage(books: Books) -> None:
        books.ledger[relation][0][column] = value

    return damage


def lose(relation: str) -> Callable[[Books], None]:
    return lambda books: books.ledger[relation].pop() and None


def twice(relation: str, key: str) -> Callable[[Books], None]:
    return lambda books: books.ledger[relation].append(books.ledger[relation][0] | {key: "again"})


@pytest.mark.parametrize(
    "damage",
    [
        lambda _books: None,
        set_to("balance_events", "amount", Decimal("0.0001")),
        set_to("accounts", "balance", Decimal("1")),
        set_to("positions", "stop_loss", None),
        set_to("orders", "status", "pending"),
        lose("executions"),
        lose("position_events"),
        twice("executions", "execution_id"),
        lambda books: books.ledger["reconciliations"].clear(),
        lambda books: books.account.update(balance="1"),
        add_fill,
    ],
)
def test_every_check_says_the_same_of_loose_books_as_of_sealed_ones(
    tmp_path: Path, damage: Callable[[Books], None]
) -> None:
    books = clean_books()
    damage(books)
    take_snapshot(books, BooksBroker(books), tmp_path / "one", tie_limit_s=0)
    books.reads = 0  # the same moment once more
    held = read_loose(books, BooksBroker(books), tie_limit_s=0)
    expected = without_time(judge(tmp_path / "one").results)
    assert len(expected) == 18
    assert without_time(judge_loose(held)) == expected


def test_without_a_broker_what_is_about_it_does_not_apply(tmp_path: Path) -> None:
    books = clean_books()
    take_snapshot(books, None, tmp_path / "one")
    books.reads = 0
    results = judge_loose(read_loose(books, None))
    assert without_time(results) == without_time(judge(tmp_path / "one").results)
    assert not all(result.applies for result in results)


def test_loose_books_of_postgres_pass(postgres_server: Any) -> None:
    books = clean_books()
    url = postgres_server.create_database("ledger_loose")
    fill(url, books)
    results = judge_loose(read_loose(PostgresLedger(url), BooksBroker(books)))
    assert {result.verdict for result in results} == {Verdict.PASSED}


def test_a_number_that_is_not_exact_and_a_missing_row_are_refused() -> None:
    books = clean_books()
    books.ledger["executions"][0]["price"] = Decimal("1.1234567890123456789")
    with pytest.raises(SnapshotUnreadable, match="does not fit exactly"):
        read_loose(books, BooksBroker(books))

    class ShortMoment(BooksMoment):
        def count(self, relation: Relation) -> int:
            return super().count(relation) + (relation.name == "orders")

    books = clean_books()
    books.moment_type = ShortMoment
    with pytest.raises(SnapshotUnreadable, match="orders has 4 rows but 3 came"):
        read_loose(books, BooksBroker(books))


def test_a_large_ledger_is_not_held_loose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loose, "MOST_ROWS", 9)
    books = clean_books()
    with pytest.raises(TooManyRowsError, match="position_events has 10 rows"):
        read_loose(books, BooksBroker(books))
