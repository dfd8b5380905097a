"""Large relations from PostgreSQL: the same rows as the slow way reads, of one moment, exact or refused by name."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest

from audits import snapshot as snapshots
from audits.contract import BALANCE_EVENTS, BY_NAME, EXECUTIONS, POSITION_EVENTS, RECONCILIATIONS
from audits.exact_columns import SnapshotUnreadable, schema_of, table_from_columns
from audits.snapshot import take_snapshot
from audits.sources import LedgerUnreadable, postgres_bulk
from audits.sources.postgres import PostgresLedger
from tests.audits.books import create_sql

ODD = (BALANCE_EVENTS, POSITION_EVENTS, RECONCILIATIONS)

ROWS = """
    INSERT INTO wartest.balance_events
    SELECT 'b"' || n || E''',\\n\\t\\\\é€', 'a', n, '', 0.000000000000000001 * n,
           -99999999999999999999.999999999999999999, 0.10 + n, nullif('', ''), CASE WHEN n % 2 = 0 THEN '' END, NULL,
           timestamptz '0001-01-01 00:00:00Z' + n * interval '1 microsecond', '9999-12-31 23:59:59.999999Z'
    FROM generate_series(1, 3000) AS n;
    INSERT INTO wartest.balance_events VALUES ('zeros', 'a', 1, 'X', 1.000000000000000000000000000000, 0, 1, NULL, NULL,
           NULL, '1969-07-20 20:17:40.123456Z', '1812-06-24 00:00:00Z');
    INSERT INTO wartest.position_events VALUES ('e', 'p', 9223372036854775807, 'X',
           '{"a": "it''s \\"é\\"\\\\n", "n": 1.10, "b": [null]}', NULL, now(), now());
    INSERT INTO wartest.reconciliations VALUES ('r', 'a', now(), 1, 5, 0);
"""


@pytest.fixture(scope="module")
def ledger_url(postgres_server: Any) -> str:
    return str(postgres_server.create_database("ledger_bulk"))


@pytest.fixture
def database(ledger_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS wartest CASCADE")
        connection.execute(create_sql())
        connection.execute("ALTER TABLE wartest.reconciliations ALTER positions_checked TYPE numeric")
        connection.execute(ROWS)
        yield connection


@pytest.fixture
def always_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "BULK_ROWS", 0)


def test_both_ways_of_reading_give_the_same_rows(database: psycopg.Connection, ledger_url: str, tmp_path: Path) -> None:
    with PostgresLedger(ledger_url).at_one_moment(ODD) as moment:
        assert moment.write_files(tmp_path, {relation: moment.count(relation) for relation in ODD})
        for relation in ODD:
            slow = [row for batch in moment.rows(relation) for row in table_from_columns(relation, batch).to_pylist()]
            fast = pq.read_table(tmp_path / f"{relation.name}.parquet")
            assert fast.schema.equals(schema_of(relation))
            key = relation.key
            assert sorted(fast.to_pylist(), key=lambda row: row[key]) == sorted(slow, key=lambda row: row[key])


def test_all_connections_read_the_one_moment(database: psycopg.Connection, ledger_url: str, tmp_path: Path) -> None:
    with PostgresLedger(ledger_url).at_one_moment(ODD) as moment:
        database.execute("DELETE FROM wartest.balance_events")
        database.execute("INSERT INTO wartest.reconciliations VALUES ('late', 'a', now(), 1, 5, 0)")
        moment.write_files(tmp_path, dict.fromkeys(ODD, 1))
    assert pq.read_metadata(tmp_path / "balance_events.parquet").num_rows == 3001
    assert pq.read_metadata(tmp_path / "reconciliations.parquet").num_rows == 1


@pytest.mark.usefixtures("always_in_bulk")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("balance_events SET amount = 'NaN' WHERE event_id = 'zeros'", "amount of event_id zeros is NaN"),
        ("balance_events SET amount = 'Infinity' WHERE event_id = 'zeros'", "amount of event_id zeros is Infinity"),
        ("balance_events SET amount = 1e20 WHERE event_id = 'zeros'", "amount of event_id zeros is 1000"),
        ("balance_events SET amount = 1e-19 WHERE event_id = 'zeros'", "zeros is 0.0000000000000000001"),
        ("balance_events SET amount = null WHERE event_id = 'zeros'", "amount of event_id zeros is null"),
        ("balance_events SET event_id = null WHERE event_id = 'zeros'", "event_id, the key, is null"),
        ("balance_events SET occurred_at = 'infinity' WHERE event_id = 'zeros'", "event_id zeros is 'infinity'"),
        ("balance_events SET occurred_at = '10000-01-01Z' WHERE event_id = 'zeros'", "event_id zeros is '10000-"),
        ("balance_events SET occurred_at = '0044-03-15Z BC' WHERE event_id = 'zeros'", "event_id zeros is '0044-"),
        ("reconciliations SET positions_checked = 1.5", "positions_checked of reconciliation_id r is '1.5'"),
        ("reconciliations SET positions_checked = 'NaN'", "positions_checked of reconciliation_id r is 'NaN'"),
    ],
)
def test_what_is_not_kept_exactly_is_named_with_its_row(
    database: psycopg.Connection, ledger_url: str, tmp_path: Path, change: str, sentence: str
) -> None:
    database.execute(f"UPDATE wartest.{change}")
    with pytest.raises(SnapshotUnreadable) as raised:
        take_snapshot(PostgresLedger(ledger_url), None, tmp_path / "one", relations=ODD)
    assert sentence in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("always_in_bulk")
def test_a_view_with_whole_numbers_and_odd_names_is_read(
    database: psycopg.Connection, ledger_url: str, tmp_path: Path
) -> None:
    database.execute("""CREATE SCHEMA "it's ""one"" "; CREATE VIEW "it's ""one"" ".executions AS
        SELECT 1 AS execution_id, 'a'::char(3) AS account_id, 'o'::varchar AS order_id, 'p' AS position_id,
               NULL AS broker_transaction_id, 'EUR_USD' AS instrument, 5::smallint AS units, 2 AS price,
               9223372036854775807 AS conversion_rate, 0.5::numeric(10, 2) AS realized_pnl, 0 AS commission,
               timestamptz '2026-11-22 12:00Z' AS executed_at""")
    ledger = PostgresLedger(ledger_url, 'it\'s "one" ')
    take_snapshot(ledger, None, tmp_path / "one", relations=(EXECUTIONS,))
    (row,) = pq.read_table(tmp_path / "one" / "executions.parquet").to_pylist()
    assert (row["execution_id"], row["units"], row["price"]) == ("1", 5, 2)
    assert (row["conversion_rate"], row["realized_pnl"]) == (Decimal(9223372036854775807), Decimal("0.5"))
    database.execute('DROP SCHEMA "it\'s ""one"" " CASCADE')


@pytest.mark.usefixtures("always_in_bulk")
def test_where_the_extension_is_missing_rows_are_read_one_by_one(
    database: psycopg.Connection, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_bulk, "_extension", lambda: None)
    snapshot = take_snapshot(PostgresLedger(ledger_url), None, tmp_path / "one", relations=ODD)
    assert snapshot.relations["balance_events"].rows == 3001


@pytest.mark.usefixtures("always_in_bulk")
def test_a_moment_that_would_grow_too_old_is_given_up(
    database: psycopg.Connection, ledger_url: str, tmp_path: Path
) -> None:
    database.execute("""ALTER TABLE wartest.reconciliations RENAME TO slow; CREATE VIEW wartest.reconciliations AS
        SELECT reconciliation_id, account_id, started_at, duration_ms, positions_checked, mismatches
        FROM wartest.slow, pg_sleep(0.6)""")
    ledger = PostgresLedger(ledger_url, max_age_s=1.0)
    with pytest.raises(LedgerUnreadable, match="longer than one moment of it may be held open: read from a replica"):
        take_snapshot(ledger, None, tmp_path / "one", relations=(RECONCILIATIONS,))
    assert list(tmp_path.iterdir()) == []


def test_a_password_never_stands_in_the_query(ledger_url: str) -> None:
    read = postgres_bulk.BulkRead(ledger_url, "wartest", "1", {name: {} for name in BY_NAME})
    assert ledger_url not in repr(read)
