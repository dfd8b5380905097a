"""Random lives audit clean; a row that is lost, doubled or altered in one field is found by the check named for it."""

import random
import tempfile
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits.checks import CHECKS
from audits.contract import RELATIONS
from audits.judge import CheckResult, judge
from audits.snapshot import take_snapshot
from audits.verdicts import Verdict
from tests.audits.books import Row
from tests.audits.random_books import KINDS, Life, lived

Step = tuple[str, int, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 1), st.integers(1, 60), st.integers(-15, 15)), max_size=40
)
DICE = random.Random(7)
LONG_LIFE: list[Step] = [
    (DICE.choice(KINDS), DICE.randint(0, 1), DICE.randint(1, 60), DICE.randint(-15, 15)) for _ in range(160)
]


def judged(life: Life, *names: str) -> dict[str, CheckResult]:
    with tempfile.TemporaryDirectory() as folder:
        take_snapshot(life.books, tuple(life.brokers.values()), Path(folder) / "one", tie_limit_s=0)
        checks = [check for check in CHECKS if not names or check.name in names]
        return {result.name: result for result in judge(Path(folder) / "one", checks).results}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_every_correct_life_passes_or_says_what_it_did_not_see(steps: list[Step]) -> None:
    life = lived(steps)
    found = {name: result.reason for name, result in judged(life).items() if result.verdict is not Verdict.PASSED}
    nothing_traded = {"event_coverage", "pnl", "stuck", "stops"} if not life.books.rows("executions") else set()
    assert found.keys() <= nothing_traded, found


def test_a_long_life_passes_all_eighteen() -> None:
    life = lived(LONG_LIFE)
    assert {row["status"] for row in life.books.rows("positions")} == {"open", "closed"}
    assert {"PARTIAL_CLOSE", "POSITION_CLOSED"} <= {row["event_type"] for row in life.books.rows("position_events")}
    assert {name: result.outcome for name, result in judged(life).items()} == {check.name: "passed" for check in CHECKS}


Where = Callable[[Row], bool]


def any_row(row: Row) -> bool:
    """Any row, but no order that never dealt: most of what it says goes with nothing else."""
    return row.get("order_type") != "LIMIT"


def is_resting(row: Row) -> bool:
    return (row["order_type"], row["status"]) == ("LIMIT", "submitted")


def is_open(row: Row) -> bool:
    return row["status"] == "open"


def is_closed(row: Row) -> bool:
    return row["status"] == "closed"


def is_close(row: Row) -> bool:
    return bool(row["realized_pnl"])


DAY = timedelta(days=1)
CENT = Decimal("0.0001")

# (relation, column, the check that finds it, the new value, which rows)
ALTERED: list[tuple[str, str, str, Callable[[Any], Any], Where]] = [
    ("accounts", "account_id", "orphans", lambda value: value + "x", any_row),
    ("accounts", "currency", "broker_balance", lambda value: value + "x", any_row),
    ("accounts", "opening_balance", "balance_chain", lambda value: value + CENT, any_row),
    ("accounts", "balance", "balance_total", lambda value: value + CENT, any_row),
    ("accounts", "equity", "equity", lambda value: value + CENT, any_row),
    ("accounts", "margin_used", "equity", lambda value: value + CENT, any_row),
    ("accounts", "margin_available", "equity", lambda value: value + CENT, any_row),
    ("orders", "order_id", "orphans", lambda value: value + "x", any_row),
    ("orders", "account_id", "orphans", lambda value: value + "x", any_row),
    ("orders", "position_id", "orphans", lambda value: value + "x", any_row),
    ("orders", "broker_order_id", "orphans", lambda value: value + "0", any_row),
    ("orders", "broker_order_id", "orphans", lambda value: value + "0", is_resting),
    ("orders", "status", "orphans", lambda value: "cancelled", is_resting),
    ("orders", "instrument", "orphans", lambda value: value + "x", any_row),
    ("orders", "units", "orphans", lambda value: value + 1, any_row),
    ("orders", "status", "orphans", lambda value: "rejected", any_row),
    ("orders", "status", "stuck", lambda value: "working", any_row),
    ("orders", "created_at", "time_order", lambda value: value + DAY, any_row),
    ("orders", "updated_at", "time_order", lambda value: value - DAY, any_row),
    ("executions", "execution_id", "orphans", lambda value: value + "x", is_close),
    ("executions", "account_id", "positions", lambda value: value + "x", any_row),
    ("executions", "order_id", "orphans", lambda value: value + "x", any_row),
    ("executions", "position_id", "orphans", lambda value: value + "x", any_row),
    ("executions", "broker_transaction_id", "orphans", lambda value: value + "000", any_row),
    ("executions", "broker_transaction_id", "orphans", lambda value: None, any_row),
    ("executions", "instrument", "positions", lambda value: value + "x", any_row),
    ("executions", "units", "positions", lambda value: value + 1, any_row),
    ("executions", "price", "positions", lambda value: value + Decimal("0.00001"), any_row),
    ("executions", "conversion_rate", "pnl", lambda value: value * 2, is_close),
    ("executions", "realized_pnl", "pnl", lambda value: value + CENT, any_row),
    ("executions", "commission", "pnl", lambda value: value + CENT, any_row),
    ("executions", "commission", "pnl", lambda value: value * 0, lambda row: bool(row["commission"])),
    ("executions", "executed_at", "time_order", lambda value: value - DAY, any_row),
    ("positions", "position_id", "orphans", lambda value: value + "x", any_row),
    ("positions", "account_id", "positions", lambda value: value + "x", any_row),
    ("positions", "broker_trade_id", "positions", lambda value: value + "000", any_row),
    ("positions", "instrument", "positions", lambda value: value + "x", any_row),
    ("positions", "units", "positions", lambda value: value + 1, any_row),
    ("positions", "units_open", "positions", lambda value: value + 1, any_row),
    ("positions", "entry_price", "pnl", lambda value: value + Decimal("0.00001"), any_row),
    ("positions", "stop_loss", "stops", lambda value: value + CENT, is_open),
    ("positions", "stop_loss", "stops", lambda value: None, is_open),
    ("positions", "take_profit", "stops", lambda value: value + CENT, is_open),
    ("positions", "margin_used", "replay", lambda value: value + CENT, any_row),
    ("positions", "status", "positions", lambda value: "open", is_closed),
    ("positions", "status", "positions", lambda value: "closed", is_open),
    ("positions", "realized_pnl", "pnl", lambda value: value + CENT, any_row),
    ("positions", "close_reason", "stops", lambda value: "MARKET", lambda row: row.get("close_reason") == "STOP_LOSS"),
    ("positions", "close_reason", "stops", lambda value: "STOP_LOSS", lambda row: row.get("close_reason") == "MARKET"),
    ("positions", "opened_at", "time_order", lambda value: value + DAY, any_row),
    ("positions", "closed_at", "time_order", lambda value: value - DAY, is_closed),
    ("positions", "closed_at", "positions", lambda value: None, is_closed),
    ("position_events", "position_id", "orphans", lambda value: value + "x", any_row),
    ("position_events", "sequence", "sequences", lambda value: value + 1, any_row),
    ("position_events", "event_type", "event_coverage", lambda value: value + "x", any_row),
    (
        "position_events",
        "payload",
        "replay",
        lambda value: '{"units": "1"}',
        lambda row: row["event_type"] == "ORDER_FILLED",
    ),
    ("position_events", "occurred_at", "time_order", lambda value: value - DAY, any_row),
    ("position_events", "recorded_at", "time_order", lambda value: value - DAY, any_row),
    ("balance_events", "account_id", "orphans", lambda value: value + "x", any_row),
    ("balance_events", "sequence", "sequences", lambda value: value + 1, any_row),
    ("balance_events", "event_type", "event_coverage", lambda value: value + "x", any_row),
    ("balance_events", "balance_before", "balance_row", lambda value: value + CENT, any_row),
    ("balance_events", "amount", "balance_row", lambda value: value + CENT, any_row),
    ("balance_events", "balance_after", "balance_row", lambda value: value - CENT, any_row),
    ("balance_events", "position_id", "orphans", lambda value: "x", any_row),
    ("balance_events", "execution_id", "orphans", lambda value: "x", any_row),
    ("balance_events", "broker_transaction_id", "tie_out", lambda value: value + "000", any_row),
    ("balance_events", "occurred_at", "time_order", lambda value: value + DAY, any_row),
    ("balance_events", "recorded_at", "time_order", lambda value: value - DAY, any_row),
    ("reconciliations", "account_id", "orphans", lambda value: value + "x", any_row),
    ("reconciliations", "started_at", "time_order", lambda value: value + DAY, any_row),
    ("reconciliations", "duration_ms", "reconciliation", lambda value: value + 1000, any_row),
    ("reconciliations", "positions_checked", "reconciliation", lambda value: -1, any_row),
    ("reconciliations", "mismatches", "reconciliation", lambda value: value + 1, any_row),
]

# No rule of the table says what these must be; most must only be unique.
FREE = {
    ("accounts", "updated_at"),
    ("orders", "client_order_id"),
    ("orders", "order_type"),
    ("position_events", "event_id"),
    ("position_events", "idempotency_key"),
    ("balance_events", "event_id"),
    ("reconciliations", "reconciliation_id"),
}

LOST = {
    "accounts": "orphans",
    "orders": "orphans",
    "executions": "orphans",
    "positions": "orphans",
    "position_events": "event_coverage",
    "balance_events": "tie_out",
}


@cache
def long_life() -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
    """The rows of a long life by relation, and each broker's transactions."""
    life = lived(LONG_LIFE)
    return life.books.ledger, {name: broker.transactions_ for name, broker in life.brokers.items()}


def middle(relation: str, where: Where = any_row) -> int:
    """A row of the relation in the middle of the life."""
    rows = [index for index, row in enumerate(long_life()[0][relation]) if where(row)]
    return rows[len(rows) // 2]


@pytest.mark.parametrize("altered", ALTERED, ids=lambda altered: ".".join(altered[:2]))
def test_an_altered_field_is_found(altered: tuple[str, str, str, Callable[[Any], Any], Where]) -> None:
    relation, column, check, new, where = altered
    life = lived(LONG_LIFE)
    row = life.books.rows(relation)[middle(relation, where)]
    row[column] = new(row[column])
    assert judged(life, check)[check].verdict is Verdict.FAILED


def test_every_column_of_the_contract_is_altered_or_named_as_free() -> None:
    assert {(relation, column) for relation, column, *_ in ALTERED} | FREE == {
        (relation.name, column.name) for relation in RELATIONS for column in relation.columns
    }


@pytest.mark.parametrize(("relation", "check"), LOST.items())
def test_a_lost_row_is_found(relation: str, check: str) -> None:
    life = lived(LONG_LIFE)
    life.books.rows(relation).pop(middle(relation, lambda row: row.get("event_type") != "MARGIN_UPDATED"))
    assert judged(life, check)[check].verdict is Verdict.FAILED


@pytest.mark.parametrize("relation", [relation.name for relation in RELATIONS])
def test_a_row_delivered_twice_is_found(relation: str) -> None:
    life = lived(LONG_LIFE)
    life.books.rows(relation).append(dict(life.books.rows(relation)[middle(relation)]))
    assert judged(life, "duplicates")["duplicates"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("field", "check"),
    [
        ("pl", "broker_chain"),
        ("commission", "tie_out"),
        ("accountBalance", "broker_chain"),
        ("type", "broker_chain"),
        ("orderID", "orphans"),
    ],
)
def test_an_altered_transaction_of_the_broker_is_found(field: str, check: str) -> None:
    life = lived(LONG_LIFE)
    records = next(iter(life.brokers.values())).transactions_
    fills = [record for record in records if record["type"] == "ORDER_FILL"]
    fill = fills[len(fills) // 2]
    fill[field] = f"{fill[field]}X" if field == "type" else str(Decimal(fill[field]) + 1)
    assert judged(life, check)[check].verdict is Verdict.FAILED


def test_an_erased_closed_position_is_found_by_the_broker_s_fills() -> None:
    life = lived(LONG_LIFE)
    gone = life.books.rows("positions")[middle("positions", is_closed)]["position_id"]
    for relation in ("positions", "executions", "position_events", "balance_events"):
        rows = life.books.rows(relation)
        rows[:] = [row for row in rows if row.get("position_id") != gone]
    rules = {finding.rule for finding in judged(life, "orphans")["orphans"].findings}
    assert "broker fill without execution" in rules
