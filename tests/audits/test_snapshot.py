"""Snapshots: whole or not there, exact or refused, tied or named as untied."""

import gc
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest

from audits.contract import RELATIONS
from audits.judge import LEDGER_BEHIND, NO_BROKER, judge
from audits.snapshot import MANIFEST, SnapshotUnreadable, load_snapshot, take_snapshot
from audits.sources import LedgerUnreadable
from audits.sources.oanda import BrokerUnreachable, OandaReader
from audits.sources.postgres import PostgresLedger
from audits.verdicts import Verdict
from tests.audits.answers import Answer, answering, as_json
from tests.audits.books import ACCOUNT, Books, BooksBroker, candle_at, clean_books, create_sql, text_at

COMPARING = {"broker_balance", "positions"}


def broker_answers(books: Books) -> Callable[[str, dict[str, str]], Answer]:
    """The broker of the books over HTTP."""

    def answer(path: str, query: dict[str, str]) -> Answer:
        if path.endswith("idrange"):
            wanted = range(int(query["from"]), int(query["to"]) + 1)
            return as_json({"transactions": [each for each in books.transactions if int(each["id"]) in wanted]})
        if path.endswith("pricing"):
            return as_json({"prices": [], "time": text_at(90)})
        if path.endswith("candles"):
            return as_json({"candles": [candle_at(seconds, "1.1", "1.1") for seconds in range(20, 60, 5)]})
        return as_json({"account": books.account})

    return answer


def fill(url: str, books: Books) -> None:
    """Put the ledger rows of the books into PostgreSQL."""
    with psycopg.connect(url) as connection:
        connection.execute(create_sql())
        for relation in RELATIONS:
            names = [column.name for column in relation.columns]
            for row in books.rows(relation.name):
                connection.execute(
                    f"INSERT INTO wartest.{relation.name} VALUES ({', '.join(['%s'] * len(names))})",
                    [row.get(name) for name in names],
                )


def test_a_ledger_in_postgres_and_a_broker_over_http_are_judged_clean(postgres_server: Any, tmp_path: Path) -> None:
    books = clean_books()
    url = postgres_server.create_database("ledger_snapshot")
    fill(url, books)
    with answering(broker_answers(books)) as answers, OandaReader(answers.url, ACCOUNT, "secret") as broker:
        snapshot = take_snapshot(PostgresLedger(url), broker, tmp_path / "one", with_prices=True)
    assert (snapshot.tied, snapshot.last_transaction_id) == (True, "8")
    assert {name: entry.rows for name, entry in snapshot.relations.items()} == {
        "accounts": 1,
        "orders": 3,
        "executions": 3,
        "positions": 2,
        "position_events": 10,
        "balance_events": 2,
        "reconciliations": 1,
        "broker_transactions": 8,
        "broker_trades": 1,
        "broker_account": 1,
        "broker_candles": 6,
        "price_spans": 1,
    }
    assert (0 < snapshot.age_s < 60, snapshot.caveat) == (True, "")
    text = (tmp_path / "one" / MANIFEST).read_text()
    assert "secret" not in text
    assert postgres_server.password not in text
    assert judge(tmp_path / "one").verdict is Verdict.PASSED


def test_the_same_verdict_comes_from_the_files_alone(tmp_path: Path) -> None:
    books = clean_books()
    books.account["balance"] = "1"
    sealed = take_snapshot(books, BooksBroker(books), tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "elsewhere")
    judgement = judge(tmp_path / "elsewhere", manifest_sha256=sealed.manifest_sha256)
    assert judgement.verdict is Verdict.FAILED
    assert judgement.snapshot.moment == sealed.moment


def test_numbers_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    books = clean_books()
    exact = Decimal("12345678901234567890.123456789012345678")
    books.rows("executions")[0]["conversion_rate"] = exact
    take_snapshot(books, BooksBroker(books), tmp_path / "one")
    table = pq.read_table(tmp_path / "one" / "executions.parquet")
    assert table["conversion_rate"][0].as_py() == exact


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "0.1234567890123456789", "1E+20", "123456789012345678901"]
)
def test_a_number_that_cannot_be_kept_exactly_is_refused_by_name(tmp_path: Path, value: str) -> None:
    books = clean_books()
    books.rows("balance_events")[1]["amount"] = Decimal(value)
    with pytest.raises(SnapshotUnreadable, match=r"balance_events\.amount of event_id b2 is"):
        take_snapshot(books, BooksBroker(books), tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_null_where_the_contract_has_none_is_refused_by_name(tmp_path: Path) -> None:
    books = clean_books()
    books.rows("balance_events")[1]["amount"] = None
    with pytest.raises(SnapshotUnreadable, match=r"balance_events\.amount of event_id b2 is null"):
        take_snapshot(books, BooksBroker(books), tmp_path / "one")


@pytest.mark.parametrize("pl", ["NaN", "many", 0.1])
def test_a_broker_number_that_is_not_exact_is_refused(tmp_path: Path, pl: object) -> None:
    books = clean_books()
    books.transactions[4]["pl"] = pl
    with pytest.raises(SnapshotUnreadable, match=r"pl|broker_transactions\.pl"):
        take_snapshot(books, BooksBroker(books), tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("trades", None), ("openTradeCount", "many"), ("lastTransactionID", None), ("currency", None)],
)
def test_an_account_without_what_is_compared_is_refused(tmp_path: Path, field: str, value: object) -> None:
    books = clean_books()
    books.account[field] = value
    with pytest.raises(SnapshotUnreadable, match=field):
        take_snapshot(books, BooksBroker(books), tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_number_in_postgres_that_is_none_is_refused_by_name(postgres_server: Any, tmp_path: Path) -> None:
    books = clean_books()
    books.rows("balance_events")[1]["amount"] = Decimal("NaN")
    url = postgres_server.create_database("ledger_nan")
    fill(url, books)
    with pytest.raises(SnapshotUnreadable, match="event_id b2 is NaN"):
        take_snapshot(PostgresLedger(url), None, tmp_path / "one")
    gc.collect()  # what was left open by the refusal must close without a complaint
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_is_never_written_over_another(tmp_path: Path) -> None:
    books = clean_books()
    take_snapshot(books, BooksBroker(books), tmp_path / "one")
    with pytest.raises(SnapshotUnreadable, match="exists already"):
        take_snapshot(books, BooksBroker(books), tmp_path / "one")


def test_a_broker_or_ledger_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    books = clean_books()
    with pytest.raises(BrokerUnreachable):
        take_snapshot(books, OandaReader("http://127.0.0.1:1", ACCOUNT, "t", attempts=1), tmp_path / "one")
    with pytest.raises(LedgerUnreadable):
        take_snapshot(PostgresLedger("postgresql://127.0.0.1:1/x"), BooksBroker(books), tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_one_changed_byte_is_refused(tmp_path: Path) -> None:
    books = clean_books()
    take_snapshot(books, BooksBroker(books), tmp_path / "one")
    path = tmp_path / "one" / "orders.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(SnapshotUnreadable, match=r"orders\.parquet has changed"):
        judge(tmp_path / "one")
    path.unlink()
    with pytest.raises(SnapshotUnreadable, match=r"orders\.parquet cannot be read"):
        judge(tmp_path / "one")


def test_a_changed_manifest_is_refused(tmp_path: Path) -> None:
    books = clean_books()
    sealed = take_snapshot(books, BooksBroker(books), tmp_path / "one")
    path = tmp_path / "one" / MANIFEST
    path.write_text(path.read_text() + " ")
    with pytest.raises(SnapshotUnreadable, match="not the one that was sealed"):
        judge(tmp_path / "one", manifest_sha256=sealed.manifest_sha256)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "other"}'])
def test_what_is_no_manifest_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(SnapshotUnreadable, match="manifest"):
        load_snapshot(tmp_path)
    with pytest.raises(SnapshotUnreadable, match="no snapshot that can be read"):
        load_snapshot(tmp_path / "nowhere")


def test_a_manifest_cannot_name_a_file_outside_of_its_directory(tmp_path: Path) -> None:
    books = clean_books()
    take_snapshot(books, BooksBroker(books), tmp_path / "one")
    path = tmp_path / "one" / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["relations"]["orders"]["file"] = "../orders.parquet"
    path.write_text(json.dumps(manifest))
    with pytest.raises(SnapshotUnreadable, match="outside of its directory"):
        load_snapshot(tmp_path / "one")


def add_fill(books: Books, *, pl: str = "1.0000") -> None:
    """The broker makes one more fill that the ledger does not know."""
    number = str(int(books.account["lastTransactionID"]) + 1)
    fill_of_it = clean_books().transactions[4] | {"id": number, "time": text_at(60), "pl": pl}
    books.transactions.append(fill_of_it)
    books.account["lastTransactionID"] = number


def test_a_ledger_that_stays_behind_fails_what_compares_it_with_the_broker(tmp_path: Path) -> None:
    books = clean_books()
    add_fill(books)
    snapshot = take_snapshot(books, BooksBroker(books), tmp_path / "one", tie_limit_s=0.3)
    assert (snapshot.tied, snapshot.tie.lasting, snapshot.tie.behind) == (False, True, ("9",))
    assert json.loads((tmp_path / "one" / MANIFEST).read_text())["tied"] is False
    assert books.reads > 2
    results = {result.name: result for result in judge(tmp_path / "one").results}
    for name in COMPARING:
        assert results[name].verdict is Verdict.FAILED
        assert [finding.rule for finding in results[name].findings] == [LEDGER_BEHIND]
    assert results["balance_row"].verdict is Verdict.PASSED


def test_an_opening_fill_without_money_is_waited_for_too(tmp_path: Path) -> None:
    books = clean_books()
    add_fill(books, pl="0.0000")
    assert take_snapshot(books, BooksBroker(books), tmp_path / "one", tie_limit_s=0).tie.behind == ("9",)


def test_a_ledger_that_catches_up_within_the_limit_is_tied(tmp_path: Path) -> None:
    books = clean_books()
    add_fill(books)

    class Catching(BooksBroker):
        def account(self) -> dict[str, Any]:
            if books.reads == 2:
                books.rows("balance_events")[1]["broker_transaction_id"] = "9"
            return super().account()

    snapshot = take_snapshot(books, Catching(books), tmp_path / "one", tie_limit_s=10)
    assert (snapshot.tied, books.reads) == (True, 3)


def test_a_broker_that_only_keeps_moving_is_inconclusive(tmp_path: Path) -> None:
    books = clean_books()

    class Moving(BooksBroker):
        def account(self) -> dict[str, Any]:
            """The ledger books what was made before, and the broker makes one more."""
            books.rows("balance_events")[1]["broker_transaction_id"] = books.account["lastTransactionID"]
            add_fill(books)
            return super().account()

    snapshot = take_snapshot(books, Moving(books), tmp_path / "one", tie_limit_s=0.3)
    assert (snapshot.tied, snapshot.tie.lasting) == (False, False)
    results = {result.name: result for result in judge(tmp_path / "one").results}
    for name in COMPARING:
        assert results[name].verdict is Verdict.INCONCLUSIVE
        assert "kept moving" in results[name].reason


def test_a_new_ledger_stands_at_the_transaction_that_left_its_opening_balance(tmp_path: Path) -> None:
    books = clean_books()
    for name in ("orders", "executions", "positions", "position_events", "balance_events"):
        books.rows(name).clear()
    books.transactions = books.transactions[:2]
    books.account |= {"lastTransactionID": "2", "trades": [], "openTradeCount": 0, "balance": "100000"}
    books.rows("accounts")[0]["balance"] = Decimal(100000)
    assert take_snapshot(books, BooksBroker(books), tmp_path / "one").tied
    add_fill(books)
    assert take_snapshot(books, BooksBroker(books), tmp_path / "two", tie_limit_s=0).tie.behind == ("3",)


def test_without_a_broker_what_is_about_it_does_not_apply_and_no_gate_opens(tmp_path: Path) -> None:
    take_snapshot(clean_books(), None, tmp_path / "one")
    judgement = judge(tmp_path / "one")
    absent = {result.name: result.reason for result in judgement.results if not result.applies}
    assert absent == dict.fromkeys(("tie_out", "broker_chain", "broker_balance", "stops"), NO_BROKER)
    assert {result.outcome for result in judgement.results} == {"passed", "not applicable"}
    assert (judgement.verdict, judgement.gate_verdict) == (Verdict.PASSED, Verdict.INCONCLUSIVE)
    (positions,) = (result for result in judgement.results if result.name == "positions")
    assert positions.notes[0].startswith(NO_BROKER)
