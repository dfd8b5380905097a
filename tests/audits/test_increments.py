"""Increments: what was booked since, judged as the whole would be, in the cost of what is new."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from audits import increments
from audits.checks import CHECKS
from audits.exact_columns import SnapshotUnreadable
from audits.increments import INCREMENT_CHECKS, Marks, marks_from_json, marks_of, marks_to_json, take_increment
from audits.judge import judge
from audits.snapshot import Snapshot, take_snapshot
from audits.sources.postgres import PostgresLedger
from audits.verdicts import Verdict
from tests.audits.books import ACCOUNT, Books, BooksBroker, clean_books, text_at
from tests.audits.test_snapshot import fill


@pytest.fixture
def books() -> Books:
    return clean_books()


@pytest.fixture
def database(postgres_server: Any, books: Books) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_server.create_database("ledger_increments"), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS wartest CASCADE")
        fill(postgres_server.url("ledger_increments"), books)
        yield connection


def ledger_of(server: Any) -> PostgresLedger:
    return PostgresLedger(server.url("ledger_increments"))


def book(database: psycopg.Connection, books: Books, amount: str) -> None:
    """The broker charges financing, and the ledger books it."""
    number = str(int(books.account["lastTransactionID"]) + 1)
    balance = Decimal(books.account["balance"]) + Decimal(amount)
    charge = {"id": number, "type": "DAILY_FINANCING", "time": text_at(60), "financing": amount}
    books.transactions.append(charge | {"accountBalance": str(balance)})
    books.account |= {"lastTransactionID": number, "balance": str(balance)}
    database.execute(
        """INSERT INTO wartest.balance_events SELECT 'b' || max(sequence) + 1, %s, max(sequence) + 1, 'FINANCING', %s,
           %s, %s, NULL, NULL, %s, now(), now() FROM wartest.balance_events""",
        [ACCOUNT, balance - Decimal(amount), Decimal(amount), balance, number],
    )
    database.execute("UPDATE wartest.accounts SET balance = %s", [balance])


def increment(server: Any, books: Books, marks: Marks, directory: Path) -> tuple[Snapshot, dict[str, Verdict]]:
    snapshot = take_increment(ledger_of(server), BooksBroker(books), directory, marks=marks, tie_limit_s=0)
    results = judge(directory, INCREMENT_CHECKS).results
    return snapshot, {result.name: result.verdict for result in results}


@pytest.fixture
def marks(postgres_server: Any, database: psycopg.Connection, books: Books, tmp_path: Path) -> Marks:
    """How far the ledger was judged; needs the ledger filled."""
    whole = take_snapshot(ledger_of(postgres_server), BooksBroker(books), tmp_path / "whole", tie_limit_s=0)
    assert whole.tied
    return marks_of(whole)


PASSED = dict.fromkeys((check.name for check in INCREMENT_CHECKS), Verdict.PASSED)


def test_only_what_is_new_is_read_and_judged_again_and_again(
    postgres_server: Any, database: psycopg.Connection, books: Books, marks: Marks, tmp_path: Path
) -> None:
    assert set(PASSED) < {check.name for check in CHECKS}
    for number in range(3):
        book(database, books, f"-0.{number + 1}")
        snapshot, verdicts = increment(postgres_server, books, marks, tmp_path / str(number))
        assert verdicts == PASSED
        assert snapshot.relations["balance_events"].rows == 2  # the last that was judged before, and the new one
        assert snapshot.relations["broker_transactions"].rows == 2
        assert "an increment" in snapshot.caveat
        marks = marks_of(snapshot, marks)
    assert marks[ACCOUNT].first == 5


def test_marks_survive_being_kept_as_json(marks: Marks) -> None:
    assert marks
    assert marks_from_json(json.loads(json.dumps(marks_to_json(marks)))) == marks


def test_an_hour_without_any_trade_passes_too(postgres_server: Any, books: Books, marks: Marks, tmp_path: Path) -> None:
    assert increment(postgres_server, books, marks, tmp_path / "one")[1] == PASSED


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ("balance_events SET balance_after = balance_after + 1 WHERE sequence = 3", {"balance_row", "balance_total"}),
        (
            "balance_events SET balance_before = balance_before + 1, balance_after = balance_after + 1 "
            "WHERE sequence = 3",
            {"balance_chain", "balance_total"},
        ),
        ("balance_events SET amount = amount + 1 WHERE sequence = 3", {"balance_row", "balance_total", "tie_out"}),
        ("balance_events SET broker_transaction_id = '77' WHERE sequence = 3", {"tie_out"}),
        ("accounts SET balance = balance + 1", {"balance_total", "broker_balance"}),
    ],
)
def test_what_is_wrong_with_the_new_is_found(  # noqa: PLR0917
    postgres_server: Any,
    database: psycopg.Connection,
    books: Books,
    marks: Marks,
    tmp_path: Path,
    change: str,
    failing: set[str],
) -> None:
    book(database, books, "-0.5")
    database.execute(f"UPDATE wartest.{change}")
    _, verdicts = increment(postgres_server, books, marks, tmp_path / "one")
    assert {name for name, verdict in verdicts.items() if verdict is Verdict.FAILED} == failing


def test_a_broker_transaction_that_was_not_booked_is_found(
    postgres_server: Any, database: psycopg.Connection, books: Books, marks: Marks, tmp_path: Path
) -> None:
    book(database, books, "-0.5")
    database.execute("DELETE FROM wartest.balance_events WHERE sequence = 3")
    snapshot, verdicts = increment(postgres_server, books, marks, tmp_path / "one")
    assert (snapshot.tied, verdicts["tie_out"]) == (False, Verdict.FAILED)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE wartest.balance_events SET amount = amount - 1 WHERE sequence = 2",
        "DELETE FROM wartest.balance_events WHERE sequence = 2",
    ],
)
def test_a_judged_event_that_changed_is_named(  # noqa: PLR0917
    postgres_server: Any, database: psycopg.Connection, books: Books, marks: Marks, tmp_path: Path, change: str
) -> None:
    database.execute(change)
    with pytest.raises(SnapshotUnreadable, match=r"Balance event b2 .* is no longer what it was"):
        increment(postgres_server, books, marks, tmp_path / "one")


def test_too_much_that_is_new_asks_for_a_whole_snapshot(
    postgres_server: Any, books: Books, marks: Marks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(increments, "MAX_NEW_ROWS", 0)
    with pytest.raises(SnapshotUnreadable, match="read the whole"):
        increment(postgres_server, books, marks, tmp_path / "one")
