"""A standing database judges each of many books as a new one would, whatever it judged before."""

from datetime import timedelta
from decimal import Decimal

import pytest

from audits import standing
from audits.checks import CHECKS
from audits.judge import CheckResult, judge_loose
from audits.loose import Loose, read_loose
from audits.tables import Tables
from audits.verdicts import Verdict
from tests.audits.books import Books, BooksBroker, clean_books
from tests.audits.checks.broken_books import BROKEN
from tests.audits.test_loose import set_to, without_time


@pytest.fixture(autouse=True)
def none_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "_free", [])


def held(books: Books) -> Loose:
    return read_loose(books, BooksBroker(books), tie_limit_s=0)


def verdicts(results: tuple[CheckResult, ...]) -> set[Verdict]:
    return {result.verdict for result in results}


def test_every_rule_is_seen_broken_by_plans_that_were_made_for_clean_books(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "MOST_BOOKS", len(BROKEN) + 3)
    assert verdicts(judge_loose(held(clean_books()))) == {Verdict.PASSED}
    (tables,) = standing._free
    unseen, priced = [], []
    for (name, rule), breaks in {broken[:2]: broken[2] for broken in BROKEN}.items():
        books = clean_books()
        breaks(books)
        (result,) = judge_loose(held(books), [check for check in CHECKS if check.name == name])
        if rule not in {group.rule for group in result.groups}:
            unseen.append(rule)
        if books.bids:
            priced.append(rule)
    assert unseen == priced  # loose books have no prices
    assert standing._free == [tables]
    assert verdicts(judge_loose(held(clean_books()))) == {Verdict.PASSED}


def test_nothing_of_the_books_before_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = clean_books()
    for relation in broken.ledger:
        broken.ledger[relation] = broken.ledger[relation][:1]
    empty = clean_books()
    for relation in empty.ledger.keys() - {"accounts"}:
        empty.ledger[relation] = []
    late = held(clean_books())
    late = Loose(late.moment + timedelta(days=2), late.broker, late.last_transaction_id, late.tie, late.relations)
    several = [held(empty), late, held(broken), read_loose(clean_books(), None), held(empty)]
    by_one = [without_time(judge_loose(books)) for books in several]
    assert len(standing._free) == 1
    monkeypatch.setattr(standing, "MOST_ROWS", 0)
    assert by_one == [without_time(judge_loose(books)) for books in several]


def test_one_that_failed_is_not_used_again_nor_one_that_is_worn(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_tables: Tables, _query: str) -> bool:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(standing.StandingTables, "may_find", broken)
        assert verdicts(judge_loose(held(clean_books()))) == {Verdict.INCONCLUSIVE}
    assert not standing._free
    monkeypatch.setattr(standing, "MOST_BOOKS", 2)
    judge_loose(held(clean_books()))
    assert len(standing._free) == 1
    judge_loose(held(clean_books()))
    assert not standing._free


def test_one_that_another_took_a_moment_before_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken(list[standing.StandingTables]):
        """It seemed to hold one."""

        def __bool__(self) -> bool:
            return True

    monkeypatch.setattr(standing, "_free", Taken())
    assert verdicts(judge_loose(held(clean_books()))) == {Verdict.PASSED}


def test_two_at_once_have_one_each_a_third_waits_and_large_books_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = held(clean_books()), clean_books()
    set_to("accounts", "balance", Decimal(1))(other)
    with standing.standing_tables(one) as tables, standing.standing_tables(held(other)) as others:
        balance = "SELECT balance FROM accounts"
        assert tables is not others
        assert tables.asked(tables.database, balance) != others.asked(others.database, balance)
        monkeypatch.setattr(standing, "WAIT_LIMIT_S", 0.01)
        with pytest.raises(TimeoutError, match="2 other judgements"):
            judge_loose(one)
    assert len(standing._free) == 2
    standing._free.clear()
    monkeypatch.setattr(standing, "MOST_ROWS", 9)
    judge_loose(one)
    assert not standing._free
