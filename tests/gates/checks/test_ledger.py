from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from audits.verdicts import Verdict
from gates.checks import ledger
from gates.checks.ledger import Reconciling, named

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _one_look_is_enough(monkeypatch):
    monkeypatch.setattr(ledger, "VALUED_WITHIN_S", 0)


def look(books, *, since=LONG_AGO, known=()):
    return ledger.positions(books.access, Reconciling(since=since, limit_ms=1000, known=known))


@contextmanager
def changed(books, table, column, value):
    """Change one column of the ledger's first row behind the desk's back, for the length of the block."""
    key = {"accounts": "account_id", "positions": "position_id"}[table]
    name, before = books.one(f"SELECT {key}, {column} FROM wartest.{table} ORDER BY 1 LIMIT 1")
    update = f"UPDATE wartest.{table} SET {column} = {{}} WHERE {key} = '{name}'"
    books.run(update.format(value))
    try:
        yield
    finally:
        books.run(update.format(f"'{before}'"))


def test_a_check_that_the_audit_does_not_have_is_refused():
    with pytest.raises(KeyError, match="broker balance"):
        named("positions", "broker balance")


def test_equal_books_pass_with_every_figure_beside_the_brokers(books):
    seen = look(books)
    assert seen.verdict == Verdict.PASSED, seen.reason
    assert {line["name"] for line in seen.measured["checks"]} == {"positions", "broker_balance"}
    assert all(line["rows"] for line in seen.measured["checks"])
    assert seen.measured["ledger_balance"] == seen.measured["broker_balance"]
    assert float(seen.measured["ledger_margin_used"]) > 0
    assert seen.measured["broker_open_trades"] == 2
    assert seen.measured["reconciliations"] >= 1
    assert seen.measured["reconciliation_mismatches"] == 0


def test_books_that_were_valued_at_an_earlier_price_are_not_accused(books):
    books.broker.control("POST", "/ticks", {"instrument": "EUR_USD", "bid": "1.10100", "ask": "1.10112"})
    seen = look(books)
    assert seen.measured["ledger_margin_used"] != seen.measured["broker_margin_used"]
    assert seen.verdict == Verdict.PASSED, seen.reason


@pytest.mark.parametrize(
    ("table", "column", "value", "rule"),
    [
        ("accounts", "balance", "balance - 0.0001", "broker balance"),
        ("accounts", "margin_used", "margin_used * 1.02", "margin used"),
        ("accounts", "margin_used", "0", "margin used"),
        ("positions", "margin_used", "margin_used * 1.02", "position margin"),
        ("positions", "units_open", "units_open + 1", "position units"),
        ("positions", "instrument", "'GBP_USD'", "position instrument"),
    ],
)
def test_each_figure_that_differs_from_the_brokers_is_a_critical_finding(books, table, column, value, rule):
    with changed(books, table, column, value):
        seen = look(books)
    assert seen.verdict == Verdict.FAILED
    assert (rule, "critical") in {(found.rule, found.level) for found in seen.findings}
    assert seen.reason == seen.findings[0].sentence


def test_a_ledger_that_keeps_no_margin_leaves_nothing_to_compare(books):
    with changed(books, "accounts", "margin_used", "NULL"):
        seen = look(books)
    assert seen.verdict == Verdict.INCONCLUSIVE
    assert "accounts.margin_used is null" in seen.reason


def test_the_targets_own_mismatches_fail_the_slot_that_first_sees_them(books):
    books.run(
        "INSERT INTO wartest.reconciliations SELECT 'bad', account_id, now(), 1500, 2, 1 FROM wartest.accounts",
    )
    try:
        seen = look(books)
        again = look(books, known={"bad"})
        later = look(books, since=datetime.now(UTC) + timedelta(hours=1))
    finally:
        books.run("DELETE FROM wartest.reconciliations WHERE reconciliation_id = 'bad'")
    assert seen.verdict == Verdict.FAILED
    assert [found.level for found in seen.findings] == ["critical", "high"]
    assert again.verdict == Verdict.PASSED
    assert again.measured["reconciliation_mismatches"] == 1
    assert later.measured["reconciliations"] == 0
