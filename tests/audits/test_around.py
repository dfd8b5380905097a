"""The rows around a finding: before and after it in its sequence, and what hangs together with it."""

from decimal import Decimal
from pathlib import Path

import pytest

from audits.around import BESIDE, MOST_ROWS, rows_around
from audits.relation_files import SnapshotUnreadable
from audits.snapshot import Snapshot, take_snapshot
from tests.audits.books import ACCOUNT, Books, BooksBroker, clean_books


def sealed(books: Books, folder: Path) -> Snapshot:
    return take_snapshot(books, BooksBroker(books), folder, tie_limit_s=0)


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Clean books with a long chain of balance events after the first two."""
    books = clean_books()
    events = books.rows("balance_events")
    for number in range(3, 60):
        events.append(events[1] | {"event_id": f"b{number}", "sequence": number, "amount": Decimal("0.10")})
    return sealed(books, tmp_path / "one")


def found(snapshot: Snapshot, **where: str) -> dict[str, list[str]]:
    return {each.relation: [str(row[0]) for row in each.rows] for each in rows_around(snapshot, where)}


def test_a_balance_event_is_shown_with_those_before_and_after_it(snapshot: Snapshot) -> None:
    around = rows_around(snapshot, {"event_id": "b20", "account_id": ACCOUNT})[0]
    assert around.relation == "balance_events"
    assert [row[0] for row in around.rows] == [f"b{number}" for number in range(20 - BESIDE, 20 + BESIDE + 1)]
    assert around.named == {BESIDE}
    assert around.rows[0][around.columns.index("amount")] == "0.1"
    assert around.rows[0][around.columns.index("occurred_at")] == "2026-11-22 12:00:40.000000"


def test_a_gap_is_shown_by_the_rows_beside_the_missing_number(snapshot: Snapshot) -> None:
    assert found(snapshot, account_id=ACCOUNT, sequence="1")["balance_events"] == ["b1", "b2", "b3", "b4"]


def test_a_position_is_shown_with_its_events_executions_orders_and_money(snapshot: Snapshot) -> None:
    around = found(snapshot, position_id="p1")
    assert around["positions"] == ["p1"]
    own = [row["event_id"] for row in clean_books().rows("position_events") if row["position_id"] == "p1"]
    assert around["position_events"] == own
    assert around["executions"] == ["x1", "x1c"]
    assert around["orders"] == ["o1", "o1c"]
    assert around["balance_events"] == ["b1"]


def test_an_execution_leads_to_its_position_and_its_broker_transaction(snapshot: Snapshot) -> None:
    around = found(snapshot, execution_id="x1c")
    assert around["positions"] == ["p1"]
    assert "5" in around["broker_transactions"]
    assert around["broker_transactions"] == [str(number) for number in range(2, 9)]


def test_a_broker_trade_leads_to_the_position_that_holds_it(snapshot: Snapshot) -> None:
    around = found(snapshot, trade_id="6")
    assert (around["broker_trades"], around["positions"]) == (["6"], ["p2"])


def test_keys_that_are_listed_in_one_text_are_each_followed(snapshot: Snapshot) -> None:
    assert found(snapshot, position_id="p1, p2")["positions"] == ["p1", "p2"]


def test_an_orphan_is_found_by_relation_and_key(snapshot: Snapshot) -> None:
    assert found(snapshot, relation="orders", key="o2", missing="nobody")["orders"] == ["o2"]


@pytest.mark.parametrize("key", ["'; DROP TABLE x; --", "it's", '"', "b1' OR '1'='1"])
def test_a_key_with_quotes_is_only_a_key(snapshot: Snapshot, key: str) -> None:
    assert found(snapshot, event_id=key, position_id=key, transaction_id=key) == {}


def test_what_no_row_has_gives_nothing(snapshot: Snapshot) -> None:
    assert rows_around(snapshot, {}) == ()
    assert rows_around(snapshot, {"colour": "red"}) == ()


def test_of_many_rows_the_first_are_shown(tmp_path: Path) -> None:
    books = clean_books()
    books.rows("executions").extend(
        books.rows("executions")[0] | {"execution_id": f"more{number}"} for number in range(100)
    )
    assert len(found(sealed(books, tmp_path / "many"), position_id="p1")["executions"]) == MOST_ROWS


def test_a_changed_file_is_refused(snapshot: Snapshot) -> None:
    file = snapshot.directory / "balance_events.parquet"
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    with pytest.raises(SnapshotUnreadable, match="balance_events"):
        rows_around(snapshot, {"event_id": "b1"})
