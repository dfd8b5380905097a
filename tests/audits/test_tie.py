"""The tie: which broker transactions a ledger must still book."""

from decimal import Decimal
from pathlib import Path

import pytest

from audits.contract import RELATIONS
from audits.snapshot import SnapshotUnreadable, take_snapshot
from audits.tie import NAMED_IDS, Booked, Tie, behind_ids
from tests.audits.books import ACCOUNT, BooksBroker, BooksMoment, at, clean_books

MONEY = {"id": "9", "type": "DAILY_FINANCING", "financing": "-0.1"}
FILL = {"id": "10", "type": "ORDER_FILL", "pl": "0"}
ORDER = {"id": "11", "type": "MARKET_ORDER"}


def booked(last: int | None, *, names_fills: bool = True, opening: str = "100") -> Booked:
    return Booked(last, (Decimal(opening),), names_fills)


def test_money_and_fills_must_be_booked_and_orders_need_not() -> None:
    assert behind_ids(booked(8), [MONEY, FILL, ORDER]) == ("9", "10")
    assert behind_ids(booked(9), [MONEY, FILL, ORDER]) == ("10",)
    assert behind_ids(booked(10), [MONEY, FILL, ORDER]) == ()


def test_a_ledger_that_never_names_fills_is_not_waited_for_over_a_fill_without_money() -> None:
    assert behind_ids(booked(8, names_fills=False), [MONEY, FILL, ORDER]) == ("9",)


def test_a_fresh_ledger_stands_where_the_broker_first_held_its_opening_balance() -> None:
    deposit = {"id": "2", "type": "TRANSFER_FUNDS", "amount": "100", "accountBalance": "100.0000"}
    opening_fill = {"id": "4", "type": "ORDER_FILL", "accountBalance": "100.0000"}
    assert behind_ids(booked(None), [deposit, opening_fill]) == ("4",)
    assert behind_ids(booked(None, opening="70"), [deposit, opening_fill]) == ("2", "4")


def test_of_several_accounts_only_the_broker_s_own_is_looked_at() -> None:
    books = clean_books()
    books.rows("accounts").append(books.rows("accounts")[0] | {"account_id": "other"})
    books.rows("executions")[0] |= {"account_id": "other", "broker_transaction_id": "999"}
    moment = BooksMoment(books.ledger, at(0))
    assert Booked.at(moment, RELATIONS, ACCOUNT).last == 8
    assert Booked.at(moment, RELATIONS, "unknown").last == 999


def test_a_tie_names_a_bounded_number_of_transactions() -> None:
    many = [str(number) for number in range(100)]
    tie = Tie.judged(True, many, many, 5.0)
    assert (len(tie.behind), tie.lasting) == (NAMED_IDS, True)
    assert tie.reason.endswith("18, 19 and 80 more after 5.0 s")


def test_a_ledger_that_cuts_its_rows_short_is_refused(tmp_path: Path) -> None:
    books = clean_books()

    class Short(BooksMoment):
        def count(self, relation: object) -> int:
            return 1001

    books.moment_type = Short
    with pytest.raises(SnapshotUnreadable, match="accounts has 1001 rows but 1 came"):
        take_snapshot(books, BooksBroker(books), tmp_path / "one")
    assert list(tmp_path.iterdir()) == []
