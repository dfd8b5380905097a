"""Each check: clean books pass, and books broken for it fail for the right reason."""

from decimal import Decimal
from pathlib import Path

import pytest

from audits.checks import CHECKS, Check
from audits.checks.resting import RESTING_RULES
from audits.contract import BY_NAME
from audits.judge import LEDGER_BEHIND, CheckResult, judge
from audits.snapshot import take_snapshot
from audits.verdicts import Verdict
from tests.audits.books import ACCOUNT, Books, BooksBroker, at, clean_books, text_at
from tests.audits.checks.breaks import (
    Break,
    add_transaction,
    again,
    both,
    change,
    change_account,
    change_transaction,
    close_the_open_position,
    hold_an_order,
    send_an_order,
)
from tests.audits.checks.broken_books import BROKEN, FORGOTTEN, SET_AGAIN, STOP_CANCELLED, TRAILED


def results_of(books: Books, directory: Path, *names: str) -> dict[str, CheckResult]:
    """The results of the named checks, or of all."""
    take_snapshot(books, BooksBroker(books), directory / "snapshot", tie_limit_s=0, with_prices=True)
    checks = [check for check in CHECKS if not names or check.name in names]
    return {result.name: result for result in judge(directory / "snapshot", checks).results}


def test_clean_books_pass_every_check(tmp_path: Path) -> None:
    results = results_of(clean_books(), tmp_path)
    assert [(name, result.verdict, result.reason) for name, result in results.items()] == [
        (check.name, Verdict.PASSED, "") for check in CHECKS
    ]
    assert all(result.rows for result in results.values())


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken[0]}: {broken[1]}")
def test_broken_books_fail_for_the_right_reason(tmp_path: Path, broken: tuple[str, str, Break, str, str]) -> None:
    name, rule, breaks, difference, key = broken
    books = clean_books()
    breaks(books)
    result = results_of(books, tmp_path, name)[name]
    assert result.verdict is Verdict.FAILED
    groups = {group.rule: group for group in result.groups}
    assert rule in groups
    worst = groups[rule].worst
    assert not difference or worst.difference == difference
    assert not key or key in worst.where.values()
    assert worst.where.get("relation", "orders") in BY_NAME  # else nothing leads from the finding to its rows
    assert "{" not in worst.sentence
    assert "None" not in worst.sentence


@pytest.mark.parametrize(
    ("by", "word"),
    [
        (by, word)
        for by, words in (("STOP_LOSS_ORDER", "STOP_LOSS stop-loss sl"), ("TAKE_PROFIT_ORDER", "take_profit target tp"))
        for word in words.split()
    ],
)
def test_what_a_stop_closed_may_be_called_as_people_call_it(tmp_path: Path, by: str, word: str) -> None:
    books = clean_books()
    both(change_transaction(5, reason=by), change("positions", 0, close_reason=word))(books)
    rules = {finding.rule for finding in results_of(books, tmp_path, "stops")["stops"].findings}
    assert "close booked as something else" not in rules


def test_every_rule_of_every_check_is_broken_in_some_test() -> None:
    broken = {(name, rule) for name, rule, *_ in BROKEN}
    assert {(check.name, rule) for check in CHECKS for rule in check.rules} == broken


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_that_saw_no_row_is_never_a_pass(tmp_path: Path, check: Check) -> None:
    books = clean_books()
    for rows in books.ledger.values():
        rows.clear()
    if not check.needs_tie:
        books.transactions.clear()
        books.account["lastTransactionID"] = "0"
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


def test_executions_that_never_name_the_broker_s_transactions_are_noted_and_nothing_is_found(tmp_path: Path) -> None:
    books = clean_books()
    for row in books.rows("executions"):
        row["broker_transaction_id"] = None
    result = results_of(books, tmp_path, "orphans")["orphans"]
    assert (result.verdict, result.reason) == (Verdict.PASSED, "")
    assert [note for note in result.notes if f"no execution of account {ACCOUNT} names" in note]


def test_an_execution_older_than_the_statement_or_of_this_moment_need_not_name_its_transaction(tmp_path: Path) -> None:
    books = clean_books()
    change("executions", 0, broker_transaction_id=None, executed_at=at(-1))(books)
    change("executions", 2, broker_transaction_id=None, executed_at=at(57))(books)
    rules = {found.rule for found in results_of(books, tmp_path, "orphans")["orphans"].findings}
    assert "execution without transaction" not in rules


@pytest.mark.parametrize(
    "right",
    [
        TRAILED,
        both(TRAILED, add_transaction("ORDER_CANCEL", 50, orderID="9", reason="CLIENT_REQUEST")),
        close_the_open_position,
        both(close_the_open_position, add_transaction("ORDER_CANCEL", 55, orderID="7", reason="LINKED_TRADE_CLOSED")),
        both(add_transaction("ORDER_CANCEL", 53, orderID="7", reason="CLIENT_REQUEST"), close_the_open_position),
        both(TRAILED, add_transaction("ORDER_CANCEL", 46, orderID="7", reason="CLIENT_REQUEST")),
        both(STOP_CANCELLED, change("positions", 1, stop_loss=None), close_the_open_position),
    ],
    ids=[
        "a trailing stop beside a stop loss",
        "a trailing stop that ended beside one",
        "closed with its stop",
        "the stop ends with its trade",
        "the stop is withdrawn just before the close",
        "only a trailing stop in the end",
        "no stop is wanted any more",
    ],
)
def test_what_a_stop_may_do_passes_every_check(tmp_path: Path, right: Break) -> None:
    books = clean_books()
    right(books)
    results = results_of(books, tmp_path)
    assert {name: (result.outcome, result.findings) for name, result in results.items()} == {
        check.name: ("passed", ()) for check in CHECKS
    }


REPLACED = both(
    hold_an_order(),
    add_transaction("ORDER_CANCEL", 0, orderID="9", reason="CLIENT_REQUEST_REPLACED"),
    add_transaction("LIMIT_ORDER", 0, replacesOrderID="9", instrument="EUR_USD", units="1000"),
)


@pytest.mark.parametrize(
    "right",
    [
        both(hold_an_order(), send_an_order("9", "submitted")),
        both(hold_an_order(clientExtensions={"id": "c9"}), send_an_order(None, "submitted")),
        both(REPLACED, send_an_order("9", "submitted")),
        both(REPLACED, send_an_order("11", "submitted")),
        both(
            hold_an_order(),
            add_transaction("ORDER_CANCEL", 0, orderID="9", reason="TIME_IN_FORCE_EXPIRED"),
            send_an_order("9", "cancelled"),
        ),
        add_transaction("LIMIT_ORDER", 5, instrument="EUR_USD", units="1000", price="1.05"),
        send_an_order("777", "submitted", updated_at=at(5)),
        both(hold_an_order(), send_an_order("9", "cancelled", updated_at=at(5))),
        both(change_transaction(4, id="40"), hold_an_order(), send_an_order("777", "submitted")),
    ],
    ids=[
        "both halves",
        "named by the client",
        "replaced, the row keeps its number",
        "replaced, the row has the new number",
        "expired in both",
        "just placed",
        "just sent",
        "just withdrawn",
        "a statement with holes",
    ],
)
def test_an_order_that_waits_is_no_orphan_while_both_halves_may_be_there(tmp_path: Path, right: Break) -> None:
    books = clean_books()
    right(books)
    result = results_of(books, tmp_path, "orphans")["orphans"]
    assert {found.rule for found in result.findings} & set(RESTING_RULES) == set()


def test_where_no_order_names_the_broker_s_those_that_wait_there_are_noted(tmp_path: Path) -> None:
    books = clean_books()
    hold_an_order()(books)
    for row in books.rows("orders"):
        row["broker_order_id"] = None
    result = results_of(books, tmp_path, "orphans")["orphans"]
    assert result.verdict is Verdict.PASSED
    assert [note for note in result.notes if note.startswith("orders that wait at the broker: 1, not compared")]


BEFORE_THE_CLOSE = both(  # the numbers of the order that waits and of the one that closed are exchanged
    change_transaction(9, id="4"),
    change_transaction(4, id="9"),
    change_transaction(5, orderID="9"),
    change("orders", 1, broker_order_id="9"),
)


@pytest.mark.parametrize(
    "right",
    [
        both(hold_an_order(units="500"), send_an_order("9", "submitted", position_id="p2")),
        both(SET_AGAIN, send_an_order("9", "submitted", position_id="p2")),
        both(
            hold_an_order(units="-1000"),
            send_an_order("9", "submitted", position_id="p1"),
            change("positions", 0, closed_at=at(57)),
        ),
        both(SET_AGAIN, change_transaction(9, time=text_at(57))),
        both(SET_AGAIN, change_transaction(5, time=text_at(-36))),
        both(SET_AGAIN, BEFORE_THE_CLOSE),
        both(SET_AGAIN, change_transaction(9, replacesOrderID="4")),
        both(SET_AGAIN, change_transaction(9, price="1.0901")),
        both(SET_AGAIN, change_transaction(9, units="1000")),
        both(SET_AGAIN, change_transaction(9, units="-1001")),
        both(SET_AGAIN, change_transaction(9, instrument="GBP_USD")),
        both(SET_AGAIN, add_transaction("ORDER_CANCEL", 30, orderID="9")),
        both(SET_AGAIN, change("positions", 1, units=Decimal(1000), stop_loss=Decimal("1.09"))),
    ],
    ids=[
        "of an open position",
        "said to be of an open position",
        "closed just now",
        "placed just now",
        "placed long after",
        "placed before the close",
        "moved",
        "at another price",
        "the same way round",
        "of more units",
        "of another instrument",
        "withdrawn",
        "at the stop of an open position too",
    ],
)
def test_an_order_that_may_have_a_purpose_is_not_said_to_be_of_a_closed_position(tmp_path: Path, right: Break) -> None:
    books = clean_books()
    right(books)
    result = results_of(books, tmp_path, "orphans")["orphans"]
    assert "order of a closed position" not in {found.rule for found in result.findings}


HID = "reconciliation hid a difference"


def set_right(seconds: float, balance: str) -> Break:
    """Somebody adds what was forgotten by hand, naming no transaction; the account's balance at the end."""
    row = {"event_id": "b3", "sequence": 3, "event_type": "ADJUSTMENT", "broker_transaction_id": None}
    row |= {"position_id": None, "execution_id": None, "recorded_at": at(seconds), "occurred_at": at(seconds)}
    money = {"amount": Decimal("12.5"), "balance_before": Decimal("99999.75"), "balance_after": Decimal("100012.25")}
    added = again("balance_events", 0, **row, **money)
    return both(FORGOTTEN, added, change("accounts", 0, balance=Decimal("100012.25")), change_account(balance=balance))


@pytest.mark.parametrize(
    "innocent",
    [
        both(FORGOTTEN, change("reconciliations", 0, mismatches=1)),
        both(FORGOTTEN, change("reconciliations", 0, started_at=at(19))),
        both(FORGOTTEN, change("reconciliations", 0, started_at=at(40.9))),
        both(FORGOTTEN, change("accounts", 0, balance=Decimal("99999"))),
        set_right(45, "1"),
        set_right(49.5, "1"),
        set_right(55, "100012.25"),
        change("accounts", 0, balance=Decimal("99999.75")),
        both(change("balance_events", 0, recorded_at=at(55)), change_account(balance="1")),
        both(FORGOTTEN, change_transaction(8, accountBalance=None)),
    ],
    ids=[
        "it told",
        "nothing was booked yet",
        "a booking was under way",
        "the balance does not follow from its events",
        "it was set right before",
        "it was set right just before",
        "it is right by now",
        "the balance was changed at some time, without an event",
        "what was missing then was booked later",
        "the broker's balance of then is not known",
    ],
)
def test_a_reconciliation_hides_nothing_that_it_need_not_have_seen(tmp_path: Path, innocent: Break) -> None:
    books = clean_books()
    innocent(books)
    result = results_of(books, tmp_path, "reconciliation")["reconciliation"]
    assert HID not in {finding.rule for finding in result.findings}


def test_the_newest_reconciliation_that_says_all_agrees_is_the_one_that_hid(tmp_path: Path) -> None:
    books = clean_books()
    FORGOTTEN(books)
    for name, second, mismatches in (("r2", 5, 0), ("r3", 52, 0), ("r4", 53, 1)):
        again("reconciliations", 0, reconciliation_id=name, started_at=at(second), mismatches=mismatches)(books)
    result = results_of(books, tmp_path, "reconciliation")["reconciliation"]
    assert [found.where["reconciliation_id"] for found in result.findings if found.rule == HID] == ["r3"]


def test_what_is_set_right_in_part_afterwards_was_hidden_all_the_same(tmp_path: Path) -> None:
    books = clean_books()
    set_right(55, "100012.2501")(books)
    result = results_of(books, tmp_path, "reconciliation")["reconciliation"]
    assert [found.difference for found in result.findings if found.rule == HID] == ["-12.5"]
