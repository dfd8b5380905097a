"""The PostgreSQL ledger: one moment, never written, and each trouble named in one sentence."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from audits.contract import ACCOUNTS, POSITION_EVENTS, RELATIONS
from audits.exact_columns import rows_of as exact_rows
from audits.sources import LedgerUnreadable
from audits.sources.postgres import PostgresLedger
from tests.audits.books import at, create_sql

ACCOUNT_ROW = "INSERT INTO wartest.accounts VALUES ('a', 'USD', 100, 100.10, null, null, null, '2026-11-22 12:00Z')"


@pytest.fixture(scope="module")
def ledger_url(postgres_server: Any) -> str:
    return str(postgres_server.create_database("ledger_source"))


@pytest.fixture
def database(ledger_url: str) -> Iterator[psycopg.Connection]:
    """A connection to a ledger with one account; the schema is gone afterwards."""
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS wartest CASCADE")
        connection.execute(create_sql())
        connection.execute(ACCOUNT_ROW)
        yield connection


def rows_of(url: str, relation: Any = ACCOUNTS) -> list[tuple[Any, ...]]:
    with PostgresLedger(url).at_one_moment([relation]) as moment:
        rows = [row for batch in moment.rows(relation) for row in exact_rows(relation, batch)]
        assert moment.count(relation) == len(rows)
        assert moment.moment.tzinfo is not None
    return rows


def test_rows_come_exact_and_in_the_order_of_the_contract(database: psycopg.Connection, ledger_url: str) -> None:
    assert rows_of(ledger_url) == [("a", "USD", Decimal(100), Decimal("100.10"), None, None, None, at(0))]
    database.execute(
        "INSERT INTO wartest.position_events VALUES ('e', 'p', 1, 'X', '{\"price\": 1.10}', null, now(), now())"
    )
    assert rows_of(ledger_url, POSITION_EVENTS)[0][4] == '{"price": 1.10}'


def test_all_reads_see_one_moment(database: psycopg.Connection, ledger_url: str) -> None:
    with PostgresLedger(ledger_url).at_one_moment(RELATIONS) as moment:
        database.execute("UPDATE wartest.accounts SET balance = 1")
        rows = [row for batch in moment.rows(ACCOUNTS) for row in exact_rows(ACCOUNTS, batch)]
    assert rows[0][3] == Decimal("100.10")


def test_a_ledger_cannot_be_written(database: psycopg.Connection, ledger_url: str) -> None:
    with (
        PostgresLedger(ledger_url).at_one_moment([ACCOUNTS]) as moment,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        moment._connection.execute("DELETE FROM wartest.accounts")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("DROP SCHEMA wartest CASCADE", "has no relations in the schema wartest"),
        ("DROP TABLE wartest.accounts", "has no relation wartest.accounts"),
        ("ALTER TABLE wartest.accounts DROP COLUMN equity", "has no column wartest.accounts.equity"),
        (
            "ALTER TABLE wartest.accounts ALTER balance TYPE float8",
            "wartest.accounts.balance is double precision: make it numeric",
        ),
        (
            "ALTER TABLE wartest.accounts ALTER updated_at TYPE timestamp",
            "updated_at is timestamp without time zone: make it timestamptz",
        ),
    ],
)
def test_what_is_missing_or_not_exact_is_named(
    database: psycopg.Connection, ledger_url: str, change: str, sentence: str
) -> None:
    database.execute(change)
    with pytest.raises(LedgerUnreadable, match=sentence) as caught:
        rows_of(ledger_url)
    assert "\n" not in str(caught.value)


def test_missing_rights_are_named(database: psycopg.Connection, ledger_url: str) -> None:
    database.execute("DROP ROLE IF EXISTS stranger")
    database.execute("CREATE ROLE stranger LOGIN PASSWORD 'x'")
    _, _, rest = ledger_url.partition("@")
    url = f"postgresql://stranger:x@{rest}"
    with pytest.raises(LedgerUnreadable, match="may not read") as caught:
        rows_of(url)
    assert ":x@" not in str(caught.value)
    database.execute("GRANT USAGE ON SCHEMA wartest TO stranger")
    with pytest.raises(LedgerUnreadable, match=r"may not read wartest.accounts.account_id: grant SELECT"):
        rows_of(url)
    database.execute("GRANT SELECT ON wartest.accounts TO stranger")
    assert len(rows_of(url)) == 1


def test_a_locked_ledger_ends_within_the_limit(database: psycopg.Connection, ledger_url: str) -> None:
    ledger = PostgresLedger(ledger_url, lock_timeout_s=0.1)
    with database.transaction():
        database.execute("LOCK TABLE wartest.accounts IN ACCESS EXCLUSIVE MODE")
        with (
            ledger.at_one_moment([ACCOUNTS]) as moment,
            pytest.raises(LedgerUnreadable, match="took too long"),
        ):
            moment.count(ACCOUNTS)


@pytest.mark.parametrize("url", ["postgresql://u:secret@127.0.0.1:1/x", "no url at all", "postgresql://h:port/x"])
def test_a_ledger_that_is_not_there_is_named_without_its_password(url: str) -> None:
    with pytest.raises(LedgerUnreadable, match="cannot be reached") as caught:
        rows_of(url)
    assert "secret" not in str(caught.value)


def test_a_server_without_a_text_code_is_refused(postgres_server: Any) -> None:
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with psycopg.connect(postgres_server.url("ascii"), autocommit=True) as connection:
        connection.execute(create_sql())
    with pytest.raises(LedgerUnreadable, match="SQL_ASCII"):
        rows_of(postgres_server.url("ascii"))
