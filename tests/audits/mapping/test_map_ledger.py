"""Mapping for real: three shapes that people have, read from PostgreSQL without a write, tried, mended, audited."""

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from audits.judge import CheckResult, judge
from audits.mapping.postgres import reading
from audits.snapshot import take_snapshot
from audits.sources import LedgerUnreadable
from audits.sources.postgres import PostgresLedger
from audits.verdicts import Verdict

SHAPES = Path(__file__).parent / "shapes"
PASSED, FAILED, NO_START, INCONCLUSIVE = 0, 1, 2, 3


@pytest.fixture
def ledger(postgres_server: Any, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Make a database with a shape in it; `request.node` names it, so that each test has its own."""

    def made(shape: str) -> str:
        name = re.sub(r"\W", "_", f"map_{request.node.name}")[:60]
        url = str(postgres_server.create_database(name))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute((SHAPES / f"{shape}.sql").read_text())  # type: ignore[arg-type]
        return url

    return made


def mapped(url: str, out: Path, *more: str) -> tuple[int, str, str]:
    """Run the command; exit code, what it said, what it complained of."""
    said, complained = StringIO(), StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("map_ledger", f"--url={url}", f"--out={out}", *more, stdout=said, stderr=complained)
    return int(ended.value.code or 0), said.getvalue(), complained.getvalue()


def audited(url: str, views: str, folder: Path) -> dict[str, CheckResult]:
    """Create the views and judge what they show, without a broker."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(views.encode())
    snapshot = take_snapshot(PostgresLedger(url), None, folder / "snapshot", whole=False)
    return {result.name: result for result in judge(snapshot.directory).results}


def test_positions_with_a_side_and_events_without_numbers(ledger: Callable[[str], str], tmp_path: Path) -> None:
    url, out = ledger("lifecycle"), tmp_path / "views.sql"
    code, said, _ = mapped(url, out, "--account=acct-1")
    assert code == FAILED
    assert "■ balances follow each other: differs; 1 events that do not start where the one before ended (of 3)" in said
    assert "● closed positions are flat: agrees" in said
    assert "accounts.opening_balance" in said
    assert "currency: << nothing found: the account's currency" in said

    text = out.read_text()
    text = text.replace("NULL::text AS currency", "'USD' AS currency")
    text = text.replace("NULL::numeric AS opening_balance", "0::numeric AS opening_balance")
    results = audited(url, text, tmp_path)
    assert results["balance_row"].verdict == Verdict.PASSED
    assert (
        results["balance_chain"]
        .findings[0]
        .sentence.endswith("starts at 10050, but event number 1 before it ended at 10000.")
    )
    assert [group.rule for group in results["balance_total"].groups] == ["balance of last event"]
    assert "position_events.sequence is made up by the ledger's view" in results["sequences"].reason
    assert results["sequences"].verdict == Verdict.INCONCLUSIVE
    assert results["pnl"].reason.startswith("executions.conversion_rate is null in all 3 rows")
    missing = {found.expected for found in results["event_coverage"].findings if found.rule == "event missing"}
    assert not missing, "without conversion rates executions are no evidence"


def test_a_double_entry_ledger_is_audited_for_what_it_has(ledger: Callable[[str], str], tmp_path: Path) -> None:
    url, out = ledger("double_entry"), tmp_path / "views.sql"
    code, said, _ = mapped(url, out)
    assert code == INCONCLUSIVE
    assert "● totals: agrees; 4 rows looked at" in said
    assert "positions: no table was found; without it inconclusive are:" in said

    results = audited(url, out.read_text(), tmp_path)
    assert results["balance_total"].verdict == Verdict.PASSED
    assert results["balance_row"].reason.startswith("balance_events.balance_before is made up by the ledger's view")
    assert results["stuck"].reason == "the snapshot has no orders"
    assert results["event_coverage"].reason == "the snapshot has no positions, executions, position_events"
    assert {name for name, result in results.items() if result.verdict == Verdict.PASSED} == {"balance_total"}

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE books.entries SET debit = 10001 WHERE id = 1")
    again = take_snapshot(PostgresLedger(url), None, tmp_path / "again", whole=False)
    assert {each.name for each in judge(again.directory).results if each.verdict == Verdict.FAILED} == {"balance_total"}
    with pytest.raises(LedgerUnreadable, match=r"has no relation wartest\.orders: create the view"):
        take_snapshot(PostgresLedger(url), None, tmp_path / "whole")


def test_a_bots_trades_and_orders(ledger: Callable[[str], str], tmp_path: Path) -> None:
    url, out = ledger("bot"), tmp_path / "views.sql"
    code, said, _ = mapped(url, out, "--account=main")
    assert code == INCONCLUSIVE
    assert "executions ← public.orders" in said
    assert "has no zone: taken for UTC" in said

    results = audited(url, out.read_text(), tmp_path)
    assert results["stuck"].verdict == Verdict.PASSED
    assert results["balance_row"].reason == "the snapshot has no balance_events"
    assert not [name for name, result in results.items() if result.verdict == Verdict.FAILED]
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT units FROM wartest.executions ORDER BY execution_id").fetchall()
        assert [row[0] for row in rows] == [1000, -1000, -500]
        shown = connection.execute(
            "SELECT instrument, units_open, status FROM wartest.positions ORDER BY 1, 3"
        ).fetchall()
        assert shown == [("EUR_USD", 0, "closed"), ("EUR_USD", -500, "open")]


def test_nothing_of_the_users_is_ever_written(ledger: Callable[[str], str], tmp_path: Path) -> None:
    url = ledger("lifecycle")
    with reading(url) as connection:
        for statement in ("DELETE FROM positions", "CREATE VIEW w AS SELECT 1", "CREATE TEMP TABLE t (a int)"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), connection.transaction():
                connection.execute(statement.encode())
    before = state_of(url)
    mapped(url, tmp_path / "views.sql")
    assert state_of(url) == before


def state_of(url: str) -> list[tuple[Any, ...]]:
    """Every relation of the database, and how many rows were ever written into it."""
    query = """SELECT n.nspname, relname, c.relfilenode, (SELECT n_tup_ins + n_tup_upd + n_tup_del FROM
               pg_stat_all_tables s WHERE s.relid = c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
               WHERE n.nspname !~ '^pg_' ORDER BY 1, 2"""
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_a_large_table_is_sampled_and_the_sample_is_named(ledger: Callable[[str], str], tmp_path: Path) -> None:
    url = ledger("lifecycle")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE pg_class SET reltuples = 100000000 WHERE relname = 'account_balance_events'")
    _, said, _ = mapped(url, tmp_path / "views.sql")
    sample = "account_balance_events TABLESAMPLE SYSTEM (0.1000) REPEATABLE (7) of about 100000000 rows"
    assert sample in said
    assert "◇ balances follow each other: not seen; too large to be tried whole: the audit looks at every row" in said


def test_what_looks_like_lots_is_asked_for(ledger: Callable[[str], str], tmp_path: Path) -> None:
    url = ledger("lifecycle")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE trade_executions SET size = size / 100000")
    _, said, _ = mapped(url, tmp_path / "views.sql", "--account=acct-1")
    assert "■ lots in executions: differs; 3 rows of currencies with parts of a unit" in said
    assert "where these are lots, write units * 100000" in said
    assert "● lots in positions: agrees" in said


def test_names_that_look_like_sql_stay_names(ledger: Callable[[str], str], tmp_path: Path) -> None:
    url, out = ledger("bot"), tmp_path / "views.sql"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('ALTER TABLE trades RENAME TO "positions"')
        connection.execute('ALTER TABLE positions RENAME exit_reason TO "close reason"')
        connection.execute('CREATE SCHEMA "x\n; DROP TABLE orders; --"')
        connection.execute('ALTER TABLE positions SET SCHEMA "x\n; DROP TABLE orders; --"')
    mapped(url, out)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(out.read_text().encode())
        assert connection.execute("SELECT count(*), min(close_reason) FROM wartest.positions").fetchone() == (2, "roi")
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (3,)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://127.0.0.1/x", "--url must be postgresql://"),
        ("env:NOT_SET_ANYWHERE", "--url names the variable NOT_SET_ANYWHERE, which is not set"),
        ("postgresql://nobody@127.0.0.1:1/x", "The ledger cannot be reached"),
    ],
)
def test_what_cannot_be_followed_is_one_sentence(url: str, sentence: str, tmp_path: Path) -> None:
    code, said, complained = mapped(url, tmp_path / "views.sql")
    assert (code, said) == (NO_START, "")
    assert sentence in complained
    assert not list(tmp_path.iterdir())


def test_a_file_that_may_hold_somebodys_changes_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "views.sql").write_text("mine")
    code, _, complained = mapped("postgresql://127.0.0.1:1/x", tmp_path / "views.sql")
    assert code == NO_START
    assert "may hold your changes" in complained
    assert (tmp_path / "views.sql").read_text() == "mine"
