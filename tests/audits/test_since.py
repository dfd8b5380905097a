"""Findings since a moment: older ones are set aside and said; nothing becomes a pass by it, nor what is wrong today."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from audits.checks import CHECKS
from audits.judge import CheckResult
from audits.since import judging_since
from audits.snapshot import take_snapshot
from audits.verdicts import Verdict
from tests.audits.books import Books, BooksBroker, at, clean_books, text_at
from tests.audits.checks.breaks import Break, add_transaction, both, change, change_prices, change_transaction

LATER = at(3600)


def results(books: Books, folder: Path, since: datetime | None) -> dict[str, CheckResult]:
    snapshot = take_snapshot(books, BooksBroker(books), folder / "one", tie_limit_s=0, with_prices=True)
    return {result.name: result for result in judging_since(snapshot, CHECKS, since)}


@pytest.fixture
def books() -> Books:
    """Both balance events do not add up in themselves, the second an hour after the first."""
    broken = clean_books()
    first, second = broken.rows("balance_events")
    first["amount"] += Decimal("0.0001")
    second["amount"] += Decimal(1)
    second["recorded_at"] = LATER
    return broken


def test_older_findings_are_set_aside_and_said(books: Books, tmp_path: Path) -> None:
    result = results(books, tmp_path, at(1800))["balance_row"]
    assert result.verdict is Verdict.FAILED
    assert [found.where["event_id"] for found in result.findings] == ["b2"]
    (group,) = result.groups
    assert (group.count, group.first.where["event_id"]) == (1, "b2")
    assert any("1 findings at rows from before" in note for note in result.notes)


def test_a_check_of_which_all_is_older_is_inconclusive_and_not_passed(books: Books, tmp_path: Path) -> None:
    result = results(books, tmp_path, LATER + timedelta(seconds=1))["balance_row"]
    assert (result.verdict, result.findings, result.groups) == (Verdict.INCONCLUSIVE, (), ())
    assert result.reason.startswith("2 findings at rows from before")


def test_a_finding_at_the_moment_itself_stays(books: Books, tmp_path: Path) -> None:
    assert len(results(books, tmp_path, LATER)["balance_row"].findings) == 1


def test_what_names_no_row_with_a_time_is_never_set_aside(tmp_path: Path) -> None:
    books = clean_books()
    books.account["balance"] = "1"
    result = results(books, tmp_path, LATER + timedelta(days=9))["broker_balance"]
    assert result.verdict is Verdict.FAILED


def test_without_a_moment_nothing_is_set_aside(books: Books, tmp_path: Path) -> None:
    assert len(results(books, tmp_path, None)["balance_row"].findings) == 2


def test_of_more_findings_than_are_kept_nothing_is_set_aside(tmp_path: Path) -> None:
    many = clean_books()
    event = many.rows("balance_events")[0]
    many.rows("balance_events")[:] = [
        event | {"event_id": f"b{number}", "sequence": number, "amount": Decimal(5)} for number in range(1, 301)
    ]
    result = results(many, tmp_path, LATER)["balance_row"]
    assert (result.verdict, result.finding_count) == (Verdict.FAILED, 300)


def test_clean_books_pass_since_any_moment(tmp_path: Path) -> None:
    assert {result.verdict for result in results(clean_books(), tmp_path, at(30)).values()} == {Verdict.PASSED}


def cancelled(seconds: float, reason: str = "CLIENT_REQUEST") -> Break:
    """The stop of the open position, placed at 30 s, ends."""
    return add_transaction("ORDER_CANCEL", seconds, orderID="7", reason=reason)


def replaced_by(price: str) -> Break:
    """The stop of the open position is replaced at 45 s."""
    new = add_transaction("STOP_LOSS_ORDER", 45, tradeID="6", price=price, reason="REPLACEMENT")
    return both(cancelled(45, "CLIENT_REQUEST_REPLACED"), new)


@pytest.mark.parametrize(
    ("rule", "breaks", "since"),
    [
        ("stop touched, not executed", change_prices({40: ("1.2", "1.21")}), at(33)),
        ("stop touched, not executed", change_prices({35: ("1.2", "1.21")}), at(55)),
        ("position without its stop", cancelled(45), at(33)),
        ("position without its stop", cancelled(45), at(55)),
        ("stop at another price", replaced_by("1.9"), at(33)),
        ("stop unknown to the ledger", change("positions", 1, stop_loss=None), at(55)),
    ],
)
def test_what_is_wrong_with_a_position_that_is_open_is_never_older(
    tmp_path: Path, rule: str, breaks: Break, since: datetime
) -> None:
    books = clean_books()
    breaks(books)
    result = results(books, tmp_path, since)["stops"]
    assert (result.verdict, [found.rule for found in result.findings]) == (Verdict.FAILED, [rule])


@pytest.mark.parametrize(("seconds", "verdict"), [(41, Verdict.INCONCLUSIVE), (40, Verdict.FAILED)])
def test_a_time_without_a_stop_is_as_old_as_its_end_however_long_the_position_lives(
    tmp_path: Path, seconds: float, verdict: Verdict
) -> None:
    books = clean_books()
    change_transaction(7, time=text_at(40))(books)
    assert results(books, tmp_path, at(seconds))["stops"].verdict is verdict


def test_a_finding_is_as_new_as_the_newest_row_that_it_names(tmp_path: Path) -> None:
    books = clean_books()
    change("positions", 0, close_reason="TAKE_PROFIT")(books)  # opened at 10 s, closed at 20 s
    assert results(books, tmp_path / "before", at(20))["stops"].verdict is Verdict.FAILED
    assert results(books, tmp_path / "after", at(21))["stops"].verdict is Verdict.INCONCLUSIVE


def test_what_could_not_be_seen_is_still_said_when_all_findings_are_older(tmp_path: Path) -> None:
    books = clean_books()
    books.rows("accounts").append(books.rows("accounts")[0] | {"account_id": "B"})
    change("reconciliations", 0, mismatches=1)(books)
    result = results(books, tmp_path, at(55))["reconciliation"]
    assert result.reason.startswith("account B was never reconciled; 1 findings at rows from before")
