"""Odd books: none of them crashes a check, slips through, or is accused wrongly."""

import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audits.checks import CHECKS
from audits.exact import product
from audits.judge import judge
from audits.relation_files import sha256_of
from audits.snapshot import MANIFEST, take_snapshot
from audits.verdicts import Verdict
from tests.audits.books import Books, BooksBroker, Row, at, clean_books
from tests.audits.checks.test_checks import results_of
from tests.audits.random_books import Life

MANY = 20_000  # 100,000 have been seen to pass as well; making them takes longer than judging them


def resealed(folder: Path, relation: str, table: pa.Table) -> None:
    """Another hand writes a relation's file, and seals it."""
    path = folder / f"{relation}.parquet"
    pq.write_table(table, path)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["relations"][relation] |= {"sha256": sha256_of(path), "rows": table.num_rows}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def sealed(folder: Path) -> Path:
    books = clean_books()
    take_snapshot(books, BooksBroker(books), folder / "one")
    return folder / "one"


def replaced(folder: Path, relation: str, column: str, values: pa.Array) -> None:
    table = pq.read_table(folder / f"{relation}.parquet")
    resealed(folder, relation, table.set_column(table.column_names.index(column), column, values))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 12.5])
def test_binary_fractions_are_never_judged_as_money(tmp_path: Path, value: float) -> None:
    folder = sealed(tmp_path)
    replaced(folder, "balance_events", "amount", pa.array([value, -0.25]))
    results = {result.name: result for result in judge(folder).results}
    assert results["balance_row"].verdict is Verdict.INCONCLUSIVE
    assert results["balance_row"].reason == "balance_events.amount is DOUBLE, not DECIMAL(38,18)"
    assert all(result.verdict is not Verdict.PASSED for result in results.values() if "amount" in result.reason)


def test_a_null_key_is_named_and_is_no_pass(tmp_path: Path) -> None:
    folder = sealed(tmp_path)
    replaced(folder, "executions", "position_id", pa.array(["p1", None, "p2"]))
    results = {result.name: result for result in judge(folder).results}
    for check in CHECKS:
        if "executions" in check.needs:
            assert results[check.name].verdict is not Verdict.PASSED, check.name
    assert "executions.position_id is null in 1 rows" in results["orphans"].reason


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    folder = sealed(tmp_path)
    resealed(folder, "orders", pq.read_table(folder / "orders.parquet").drop_columns(["client_order_id"]))
    results = {result.name: result for result in judge(folder).results}
    assert results["duplicates"].reason == "orders.client_order_id is missing, not VARCHAR"


def test_sums_beyond_all_digits_are_inconclusive_and_never_wrapped(tmp_path: Path) -> None:
    books = clean_books()
    for event in books.rows("balance_events"):
        event["balance_before"] = event["amount"] = Decimal("9" * 20)
    result = results_of(books, tmp_path, "balance_row")["balance_row"]
    assert result.verdict is not Verdict.PASSED
    assert "Overflow" in result.reason


def test_ids_with_quotes_backslashes_and_line_ends_are_named_whole(tmp_path: Path) -> None:
    odd = "it's \"p\" \\ {x}\n%s 'é"
    books = clean_books()
    for relation in books.ledger.values():
        for row in relation:
            row.update({name: odd for name, value in row.items() if name == "position_id" and value == "p1"})
    assert {result.outcome for result in results_of(books, tmp_path / "clean").values()} == {"passed"}
    books.rows("positions")[0]["realized_pnl"] += 1
    (finding, *_) = results_of(books, tmp_path / "broken", "pnl")["pnl"].findings
    assert finding.where["position_id"] == odd
    assert odd in finding.sentence


def test_an_account_that_the_broker_does_not_know_is_named_and_no_pass(tmp_path: Path) -> None:
    life = Life({"known": "USD", "unknown": "EUR"})
    for broker in life.brokers.values():
        life.deposit(broker, Decimal(100))
    life.finished()
    take_snapshot(life.books, life.brokers["known"], tmp_path / "one", tie_limit_s=0)
    results = {result.name: result for result in judge(tmp_path / "one").results}
    for name in ("tie_out", "broker_balance"):
        assert results[name].verdict is Verdict.INCONCLUSIVE
        assert results[name].reason == "the broker's books do not hold the account unknown"


def test_an_account_of_the_broker_that_the_ledger_does_not_know_is_named(tmp_path: Path) -> None:
    life = Life({"known": "USD", "unknown": "EUR", "third": "EUR"})
    for broker in life.brokers.values():
        life.deposit(broker, Decimal(100))
    life.finished()
    for relation in life.books.ledger.values():
        relation[:] = [row for row in relation if row.get("account_id") != "unknown"]
    take_snapshot(life.books, tuple(life.brokers.values()), tmp_path / "one", tie_limit_s=0)
    results = {result.name: result for result in judge(tmp_path / "one").results}
    assert results["broker_balance"].reason == "the broker's account unknown is not in the ledger"


def test_a_ledger_without_equity_says_so_and_is_counted_apart(tmp_path: Path) -> None:
    books = clean_books()
    books.rows("accounts")[0].update(equity=None, margin_used=None, margin_available=None)
    result = results_of(books, tmp_path, "equity")["equity"]
    assert (result.outcome, result.applies) == ("not applicable", False)
    assert result.reason == "accounts.equity, margin_used and margin_available are null in every row"


def test_payloads_without_what_a_replay_needs_are_inconclusive_by_name(tmp_path: Path) -> None:
    books = clean_books()
    for event in books.rows("position_events"):
        event["payload"] = "{}"
    result = results_of(books, tmp_path, "replay")["replay"]
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "the payload of 3 ORDER_FILLED events has no units" in result.reason


@pytest.mark.parametrize("payload", ["", "{bad", "[]", "null", '"text"', '{"units": "many"}'])
def test_a_payload_that_is_no_object_crashes_nothing(tmp_path: Path, payload: str) -> None:
    books = clean_books()
    books.rows("position_events")[1]["payload"] = payload
    result = results_of(books, tmp_path, "replay")["replay"]
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "could not be carried out" not in result.reason


def many_open(count: int) -> Books:
    """Clean books in which `count` more positions are open, each with its order, fill and stop at the broker."""
    books = clean_books()
    for relation in ("positions", "executions", "orders", "position_events"):
        rows = books.rows(relation)
        mine = [row for row in rows if row.get("position_id") == "p2"]
        rows += [_twin(row, number) for number in range(count) for row in mine]
    (order, fill, stop) = books.transactions[3], books.transactions[5], books.transactions[6]
    (trade,) = books.account["trades"]
    for number in range(count):
        placed, filled, stopped = (str(9 + 3 * number + step) for step in range(3))
        opened = fill["tradeOpened"] | {"tradeID": filled}
        books.transactions += [
            order | {"id": placed, "time": fill["time"]},
            fill | {"id": filled, "orderID": placed, "tradeOpened": opened, "accountBalance": "100012.2500"},
            stop | {"id": stopped, "tradeID": filled},
        ]
        books.account["trades"].append(trade | {"id": filled})
    books.account |= {"openTradeCount": count + 1, "lastTransactionID": str(8 + 3 * count)}
    return books


def _twin(row: Row, number: int) -> Row:
    """The same row of another position."""
    twin = dict(row)
    for name in ("position_id", "execution_id", "order_id", "event_id", "client_order_id", "idempotency_key"):
        if twin.get(name):
            twin[name] = f"{twin[name]}-{number}"
    for name, step in (("broker_trade_id", 1), ("broker_transaction_id", 1), ("broker_order_id", 0)):
        if twin.get(name):
            twin[name] = str(9 + 3 * number + step)
    return twin


def test_many_open_positions_pass_and_one_wrong_among_them_is_found(tmp_path: Path) -> None:
    books = many_open(MANY)
    take_snapshot(books, BooksBroker(books), tmp_path / "clean", tie_limit_s=0)
    results = judge(tmp_path / "clean").results
    assert {result.name: (result.outcome, result.reason) for result in results} == {
        check.name: ("passed", "") for check in CHECKS
    }
    books.rows("positions")[MANY // 2]["units_open"] += 1
    del books.account["trades"][-1]
    books.account["openTradeCount"] -= 1
    take_snapshot(books, BooksBroker(books), tmp_path / "wrong", tie_limit_s=0)
    (found,) = judge(tmp_path / "wrong", [check for check in CHECKS if check.name == "positions"]).results
    assert {group.rule: group.count for group in found.groups} == {
        "units of executions": 1,
        "position units": 1,
        "position without broker trade": 1,
        "count of open positions": 1,
    }


def test_products_of_many_digits_are_compared_exactly(tmp_path: Path) -> None:
    books = clean_books()
    deal, position = books.rows("executions")[1], books.rows("positions")[0]
    deal["conversion_rate"] = Decimal("0.123456789012345678")
    right = product(Decimal("0.0125"), Decimal(1000), deal["conversion_rate"])
    assert right is not None
    for wrong, verdict in ((Decimal(0), Verdict.PASSED), (Decimal("0.0001"), Verdict.FAILED)):
        money = right.quantize(Decimal("0.0001")) + wrong
        deal["realized_pnl"] = position["realized_pnl"] = money
        books.rows("balance_events")[0]["amount"] = money
        assert results_of(books, tmp_path / str(wrong), "pnl")["pnl"].verdict is verdict


def test_a_netted_position_entered_at_several_prices_is_judged_by_its_entry_price(tmp_path: Path) -> None:
    books = clean_books()
    first = books.rows("executions")[0]
    first["units"] = Decimal(400)
    books.rows("executions").insert(1, first | {"execution_id": "x1b", "units": Decimal(600), "price": Decimal("1.1")})
    assert results_of(books, tmp_path / "same", "pnl")["pnl"].verdict is Verdict.PASSED
    books.rows("executions")[1] |= {"price": Decimal("1.2"), "executed_at": at(25)}
    result = results_of(books, tmp_path / "late", "pnl")["pnl"]
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "1 positions were increased after they had been reduced" in result.reason
