"""A ledger in a folder of files: the same verdict as from a database, and every trouble named."""

import csv
import gzip
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audits.contract import RELATIONS, Relation
from audits.exact_columns import SnapshotUnreadable, table_from_rows
from audits.judge import judge
from audits.snapshot import take_snapshot
from audits.sources import LedgerUnreadable
from audits.sources.opening import ledger_at
from audits.verdicts import Verdict
from tests.audits.books import Books, BooksBroker, clean_books


def csv_of(books: Books, relation: Relation) -> str:
    """One relation as CSV with one column more than the contract has."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*(column.name for column in relation.columns), "extra"])
    for row in books.rows(relation.name):
        writer.writerow([*("" if row.get(each.name) is None else row[each.name] for each in relation.columns), "x"])
    return text.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The clean books: accounts as Parquet, orders as packed CSV, the rest as CSV."""
    books = clean_books()
    folder = tmp_path / "export"
    folder.mkdir()
    for relation in RELATIONS:
        text = csv_of(books, relation)
        if relation.name == "accounts":
            rows = [tuple(row.get(column.name) for column in relation.columns) for row in books.rows("accounts")]
            pq.write_table(table_from_rows(relation, rows), folder / "accounts.parquet")
        elif relation.name == "orders":
            (folder / "orders.csv.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / f"{relation.name}.csv").write_text(text)
    return folder


def taken(folder: Path, **more: Any) -> Any:
    return take_snapshot(ledger_at(str(folder)), BooksBroker(clean_books()), folder.parent / "one", **more)


def test_a_folder_of_files_is_judged_as_a_database_is(folder: Path) -> None:
    snapshot = taken(folder)
    assert (snapshot.tied, "whether they are of one moment" in snapshot.caveat) == (True, True)
    assert judge(folder.parent / "one").verdict is Verdict.PASSED
    table = pq.read_table(folder.parent / "one" / "balance_events.parquet")
    assert table["amount"].to_pylist() == [Decimal("12.5"), Decimal("-0.25")]
    assert table["position_id"].to_pylist() == ["p1", None]


def change(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    path.write_text(path.read_text().replace(old, new))


def test_quotes_commas_newlines_and_empty_texts_are_kept(folder: Path) -> None:
    change(folder, "reconciliations.csv", "r1,", '"it\'s ""r"", 1\né",')
    change(folder, "balance_events.csv", ",p1,", ',"",')
    taken(folder)
    table = pq.read_table(folder.parent / "one" / "reconciliations.parquet")
    assert table["reconciliation_id"].to_pylist() == ['it\'s "r", 1\né']
    events = pq.read_table(folder.parent / "one" / "balance_events.parquet")
    assert events["position_id"].to_pylist() == ["", None]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("-0.25", "NaN", "balance_events.amount of event_id b2 is NaN"),
        ("-0.25", "", "balance_events.amount of event_id b2 is null"),
        ("-0.25", "0.1234567890123456789", "does not fit exactly"),
        ("b2,", ",", "balance_events.event_id, the key, is null"),
    ],
)
def test_a_value_that_cannot_be_kept_is_named(folder: Path, old: str, new: str, sentence: str) -> None:
    change(folder, "balance_events.csv", old, new)
    with pytest.raises(SnapshotUnreadable) as raised:
        taken(folder)
    assert sentence in str(raised.value)
    assert not (folder.parent / "one").exists()


def test_a_file_that_lacks_a_column_or_is_broken_is_named(folder: Path) -> None:
    change(folder, "balance_events.csv", "amount", "change")
    with pytest.raises(LedgerUnreadable, match=r"balance_events\.csv has no column amount"):
        taken(folder)
    (folder / "balance_events.csv").write_text('event_id,amount\n"b1')
    with pytest.raises(LedgerUnreadable, match=r"balance_events\.csv has no column account_id"):
        taken(folder)
    change(folder, "executions.csv", "x1,", "x1,more,")
    (folder / "balance_events.csv").write_text(csv_of(clean_books(), RELATIONS[5]))
    with pytest.raises(LedgerUnreadable, match=r"executions\.csv cannot be read"):
        taken(folder)
    (folder / "accounts.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(LedgerUnreadable, match=r"accounts\.parquet cannot be read"):
        taken(folder)


def test_a_missing_file_two_files_and_no_folder_are_named(folder: Path) -> None:
    (folder / "orders.csv").write_text("order_id\n")
    with pytest.raises(LedgerUnreadable, match=r"both orders\.csv and orders\.csv\.gz"):
        taken(folder)
    (folder / "orders.csv").unlink()
    (folder / "positions.csv").unlink()
    with pytest.raises(LedgerUnreadable, match=r"no positions\.parquet or positions\.csv"):
        taken(folder)
    with pytest.raises(LedgerUnreadable, match="is no folder"):
        taken(folder / "nowhere")


def test_a_float_column_in_parquet_is_refused(folder: Path) -> None:
    table = pq.read_table(folder / "accounts.parquet")
    at = table.column_names.index("balance")
    pq.write_table(table.set_column(at, "balance", pa.array([100012.25])), folder / "accounts.parquet")
    with pytest.raises(SnapshotUnreadable, match=r"accounts\.balance is double: .*binary fraction"):
        taken(folder)


def test_an_address_of_no_known_kind_is_refused() -> None:
    with pytest.raises(LedgerUnreadable, match="mysql:// cannot be read"):
        ledger_at("mysql://nowhere/books")
    with pytest.raises(LedgerUnreadable, match="set SUPABASE_KEY"):
        ledger_at("https://example.test")
