"""Each check: clean books pass, and books broken for it fail for the right reason."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from audits.checks import CHECKS, Check
from audits.judge import LEDGER_BEHIND, CheckResult, judge
from audits.snapshot import take_snapshot
from audits.verdicts import Verdict
from tests.audits.books import Books, BooksBroker, at, clean_books

Break = Callable[[Books], None]


def results_of(books: Books, directory: Path, *names: str) -> dict[str, CheckResult]:
    """The results of the named checks, or of all."""
    take_snapshot(books, BooksBroker(books), directory / "snapshot", tie_limit_s=0)
    checks = [check for check in CHECKS if not names or check.name in names]
    return {result.name: result for result in judge(directory / "snapshot", checks).results}


def change(relation: str, index: int, **values: object) -> Break:
    return lambda books: books.rows(relation)[index].update(values)


def drop(relation: str, index: int) -> Break:
    def dropped(books: Books) -> None:
        books.rows(relation).pop(index)

    return dropped


def change_account(**values: object) -> Break:
    return lambda books: books.account.update(values)


def change_trade(**values: object) -> Break:
    return lambda books: books.account["trades"][0].update(values)


def erase_the_open_position(books: Books) -> None:
    for relation in ("positions", "executions", "orders", "position_events"):
        rows = books.rows(relation)
        rows[:] = [row for row in rows if row.get("position_id") != "p2"]


def hold_the_trade_twice(books: Books) -> None:
    twin = books.rows("positions")[1] | {"position_id": "p3"}
    books.rows("positions").append(twin)


def cancel_out(books: Books) -> None:
    """Two wrong amounts whose sum is right."""
    first, second = books.rows("balance_events")
    first["amount"] += Decimal("0.0001")
    second["amount"] -= Decimal("0.0001")


BROKEN: list[tuple[str, str, Break, str]] = [
    ("balance_row", "balance row", change("balance_events", 0, amount=Decimal("12.5001")), "-0.0001"),
    ("balance_row", "balance row", change("balance_events", 1, balance_after=Decimal(7)), "-100005.25"),
    ("balance_row", "balance row", cancel_out, "-0.0001"),
    ("balance_chain", "balance chain", change("balance_events", 1, balance_before=Decimal("100012.6")), "0.1"),
    (
        "balance_chain",
        "balance chain start",
        change("balance_events", 0, balance_before=Decimal("99999.9999")),
        "-0.0001",
    ),
    ("balance_chain", "balance chain start", drop("balance_events", 0), "12.5"),
    ("balance_total", "balance total", change("accounts", 0, balance=Decimal("100012.2501")), "0.0001"),
    ("balance_total", "balance total", drop("balance_events", 1), "-0.25"),
    (
        "balance_total",
        "balance of last event",
        change("balance_events", 1, balance_after=Decimal(100012)),
        "0.25",
    ),
    ("broker_balance", "broker balance", change_account(balance="100012.2499"), "0.0001"),
    ("broker_balance", "broker balance", change("accounts", 0, balance=Decimal(0)), "-100012.25"),
    ("broker_balance", "broker currency", change_account(currency="EUR"), ""),
    ("positions", "position without broker trade", change_account(trades=[]), ""),
    ("positions", "position without broker trade", change("positions", 1, broker_trade_id=None), ""),
    ("positions", "broker trade without position", erase_the_open_position, ""),
    ("positions", "position units", change_trade(currentUnits="500"), "-1000"),
    ("positions", "position instrument", change_trade(instrument="GBP_USD"), ""),
    ("positions", "broker trade held twice", hold_the_trade_twice, "1"),
    ("positions", "count of open positions", change_account(openTradeCount=2), "-1"),
    ("orphans", "balance event without execution", drop("executions", 1), ""),
    ("orphans", "filled order without execution", drop("executions", 1), ""),
    ("orphans", "execution without order", drop("orders", 0), ""),
    ("orphans", "execution without position", drop("positions", 1), ""),
    ("orphans", "order without position", drop("positions", 1), ""),
    ("orphans", "position event without position", drop("positions", 0), ""),
    ("orphans", "balance event without position", drop("positions", 0), ""),
    ("orphans", "position without events", drop("position_events", 1), ""),
    ("orphans", "position without execution", drop("executions", 2), ""),
    ("orphans", "position without account", change("positions", 0, account_id="other"), ""),
    ("orphans", "order without account", change("orders", 0, account_id="it's other"), ""),
    ("orphans", "execution without account", change("executions", 0, account_id="other"), ""),
    ("orphans", "balance event without account", change("balance_events", 0, account_id="other"), ""),
    ("orphans", "reconciliation without account", change("reconciliations", 0, account_id="other"), ""),
]


def test_clean_books_pass_every_check(tmp_path: Path) -> None:
    results = results_of(clean_books(), tmp_path)
    assert [(name, result.verdict, result.reason) for name, result in results.items()] == [
        (check.name, Verdict.PASSED, "") for check in CHECKS
    ]
    assert all(result.rows for result in results.values())


@pytest.mark.parametrize(("name", "rule", "breaks", "difference"), BROKEN)
def test_broken_books_fail_for_the_right_reason(
    tmp_path: Path, name: str, rule: str, breaks: Break, difference: str
) -> None:
    books = clean_books()
    breaks(books)
    result = results_of(books, tmp_path, name)[name]
    assert result.verdict is Verdict.FAILED
    groups = {group.rule: group for group in result.groups}
    assert rule in groups
    assert groups[rule].worst.difference == difference
    assert "{" not in groups[rule].worst.sentence


def test_every_rule_of_every_check_is_broken_in_some_test() -> None:
    broken = {(name, rule) for name, rule, *_ in BROKEN}
    assert {(check.name, rule) for check in CHECKS for rule in check.rules} == broken


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_that_saw_no_row_is_never_a_pass(tmp_path: Path, check: Check) -> None:
    books = clean_books()
    for rows in books.ledger.values():
        rows.clear()
    result = results_of(books, tmp_path, check.name)[check.name]
    if check.needs_tie:
        assert [finding.rule for finding in result.findings] == [LEDGER_BEHIND]
    else:
        assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, check.empty)


def test_a_ledger_with_another_account_only_is_not_compared_with_the_broker(tmp_path: Path) -> None:
    books = clean_books()
    books.rows("accounts")[0]["account_id"] = "one"
    books.rows("accounts").append(books.rows("accounts")[0] | {"account_id": "two", "updated_at": at(1)})
    assert results_of(books, tmp_path)["broker_balance"].verdict is Verdict.INCONCLUSIVE
