"""Statements: every shape in which a broker's transactions come, and one sentence for each trouble."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from audits.judge import judge
from audits.snapshot import take_snapshot
from audits.sources.statement import StatementUnreadable, read_statement
from audits.verdicts import Verdict
from tests.audits.books import ACCOUNT, clean_books, text_at

Row = dict[str, Any]


def owned(account: str = ACCOUNT) -> list[Row]:
    return [record | {"accountID": account} for record in clean_books().transactions]


def written(folder: Path, content: Any, name: str = "statement.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def ids(path: Path, *more: Path) -> list[str]:
    (account,) = read_statement([path, *more])
    return [record["id"] for record in account.transactions()]


EIGHT = [str(number) for number in range(1, 9)]


def test_a_list_an_object_lines_and_gzip_say_the_same(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(record) for record in owned()) + "\n"
    heartbeat = '{"type":"HEARTBEAT","lastTransactionID":"8","time":"2026-11-22T12:00:00Z"}\n'
    packed = tmp_path / "packed.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(owned()).encode()))
    for path in (
        written(tmp_path, owned(), "list.json"),
        written(tmp_path, {"transactions": owned(), "lastTransactionID": "8"}, "object.json"),
        written(tmp_path, [*[{"transactions": owned()[:3]}], *[{"transactions": owned()[3:]}]], "pages.json"),
        written(tmp_path, heartbeat + lines, "stream.jsonl"),
        written(tmp_path, "\ufeff" + json.dumps(owned()), "bom.json"),
        packed,
    ):
        assert ids(path) == EIGHT, path.name


def test_several_files_are_one_statement_in_any_order(tmp_path: Path) -> None:
    late, early = written(tmp_path, owned()[4:], "late.json"), written(tmp_path, owned()[:4], "early.json")
    assert ids(late, early) == EIGHT
    assert [record["id"] for record in read_statement([late, early])[0].transactions(6)] == ["7", "8"]


def test_numbers_are_kept_as_they_were_written(tmp_path: Path) -> None:
    text = json.dumps(owned()).replace('"12.5000"', "12.500000000000000001")
    (account,) = read_statement([written(tmp_path, text)])
    assert account.transactions()[4]["pl"] == Decimal("12.500000000000000001")


def test_an_account_beside_its_transactions_is_taken(tmp_path: Path) -> None:
    books = clean_books()
    (account,) = read_statement([written(tmp_path, {"account": books.account, "transactions": books.transactions})])
    assert account.account()["NAV"] == "100013.0000"
    snapshot = take_snapshot(books, account, tmp_path / "one")
    assert snapshot.broker == f"statement statement.json account {ACCOUNT}"
    assert judge(tmp_path / "one").verdict is Verdict.PASSED


def with_trades() -> list[Row]:
    """A whole history from CREATE: trade 3 is opened, reduced and closed, trade 6 stays open."""
    records = owned()
    records[0] |= {"homeCurrency": "USD"}
    records[5] |= {"tradeOpened": {"tradeID": "6", "units": "-600", "price": "1.1"}}
    reduce = records[4] | {"id": "9", "pl": "0", "accountBalance": "100012.2500", "time": text_at(45)}
    return [*records, reduce | {"tradesClosed": [], "tradeReduced": {"tradeID": "6", "units": "100"}}]


def test_an_account_that_is_missing_is_derived_from_the_transactions(tmp_path: Path) -> None:
    (account,) = read_statement([written(tmp_path, with_trades())])
    found = account.account()
    assert (found["balance"], found["currency"], found["lastTransactionID"]) == ("100012.2500", "USD", "9")
    assert [(trade["id"], trade["currentUnits"]) for trade in found["trades"]] == [("6", "-500")]


def test_a_derived_account_is_compared_like_any_other(tmp_path: Path) -> None:
    (account,) = read_statement([written(tmp_path, [owned()[0] | {"homeCurrency": "USD"}, *owned()[1:]])])
    snapshot = take_snapshot(clean_books(), account, tmp_path / "one", tie_limit_s=0)
    assert "derived from its transactions" in snapshot.broker
    assert judge(tmp_path / "one").verdict is Verdict.PASSED


def test_a_history_without_its_start_leaves_the_open_trades_unknown(tmp_path: Path) -> None:
    (account,) = read_statement([written(tmp_path, owned()[1:])])
    snapshot = take_snapshot(clean_books(), account, tmp_path / "one")
    assert "broker_trades" not in snapshot.relations
    results = {result.name: result for result in judge(tmp_path / "one").results}
    assert (results["positions"].verdict, results["positions"].reason) == (
        Verdict.INCONCLUSIVE,
        "the snapshot has no broker_trades",
    )


def test_each_account_of_a_statement_is_read_for_itself(tmp_path: Path) -> None:
    accounts = read_statement([written(tmp_path, [*owned("b"), *owned("a")])])
    assert [account.account()["id"] for account in accounts] == ["a", "b"]
    snapshot = take_snapshot(clean_books(), accounts, tmp_path / "one", tie_limit_s=0)
    assert snapshot.relations["broker_account"].rows == 2
    assert snapshot.relations["broker_transactions"].rows == 16


GAP = [record for record in owned() if record["id"] != "4"]
BARE = [{key: value for key, value in record.items() if key != "accountBalance"} for record in owned()]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is cut off or no JSON"),
        (json.dumps(owned())[:-20], "statement.json is cut off or no JSON"),
        ("<html>busy</html>", "is cut off or no JSON"),
        (json.dumps(owned()[0]) + "\n" + json.dumps(owned()[1])[:-1], "line 2 of statement.json is cut off"),
        ('[{"id": "1", "type": "CREATE", "pl": NaN}]', "NaN is no number"),
        ('[{"id": "1", "id": "2"}]', "'id' comes twice in one object"),
        ([], "no transaction in the statement"),
        ({"transactions": {}}, "transactions that are no list"),
        (["a"], "holds 'a' among its transactions"),
        ("7", "holds int, not transactions"),
        ({"account": {"balance": "1"}}, "an account without an id"),
        (clean_books().transactions, "transaction 1 names no accountID"),
        ([*owned(), owned()[4]], f"Transaction 5 of account {ACCOUNT} is in the statement twice"),
        (GAP, "has a gap: after transaction 3 comes 5"),
        (BARE, "tells an accountBalance"),
        ([record | {"id": "x"} for record in owned()[:1]], "id of x is 'x', no whole number"),
        ([record | {"time": None} for record in owned()[:1]], "transaction 1 has no time"),
        (
            {"account": {"id": ACCOUNT, "lastTransactionID": "9"}, "transactions": owned()},
            "ends at transaction 8, but its account is of transaction 9",
        ),
    ],
)
def test_what_is_wrong_with_a_statement_is_said_in_one_sentence(tmp_path: Path, content: Any, sentence: str) -> None:
    with pytest.raises(StatementUnreadable) as raised:
        read_statement([written(tmp_path, content)])
    assert sentence in str(raised.value)


def test_a_missing_file_and_half_a_gzip_are_named(tmp_path: Path) -> None:
    with pytest.raises(StatementUnreadable, match="cannot be read: No such file"):
        read_statement([tmp_path / "nowhere.json"])
    (tmp_path / "half.gz").write_bytes(gzip.compress(json.dumps(owned()).encode())[:-30])
    with pytest.raises(StatementUnreadable, match=r"half\.gz is cut off"):
        read_statement([tmp_path / "half.gz"])


def test_a_trade_closed_before_it_was_opened_is_named(tmp_path: Path) -> None:
    records = with_trades()
    del records[2]["tradeOpened"]
    with pytest.raises(StatementUnreadable, match="Transaction 5 reduces trade 3, which no transaction before it"):
        read_statement([written(tmp_path, records)])
