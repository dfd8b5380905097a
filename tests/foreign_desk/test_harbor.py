"""A desk over a hosted Postgres, where no transaction spans requests: right until something strikes, and then not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from audits.verdicts import Verdict
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.messages import Strike
from gates.chaos.scenarios import scenarios_of
from gates.chaos.strikes.clean_runs import prepare, record_clean
from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_until_struck
from gates.targets.preflight.trying import tried
from tests.foreign_desk.ground import HERE, foreign_cell, spec_of, with_packages, with_template

BETWEEN = "ledger: POST trade_executions"
LOCK = "LOCK TABLE harbor.trade_executions IN EXCLUSIVE MODE"


@pytest.fixture(scope="module")
def ledger_url(postgres_server: Any) -> str:
    with_packages(HERE / "harbor")
    return with_template("harbor", postgres_server)


@asynccontextmanager
async def waiting_next_door(ledger_url: str) -> AsyncIterator[None]:
    """In another copy of the books, whose tables have the same numbers, a session waits for a table all the while."""
    server = LedgerServer(ledger_url)
    copy = await server.create("run", template="harbor_template")
    try:
        first, second = [await psycopg.AsyncConnection.connect(server.url_of(copy)) for _ in range(2)]
        async with first, second:
            await first.execute(LOCK)
            waiting = asyncio.create_task(second.execute(LOCK))
            yield
            assert not waiting.done()
            await first.rollback()
            await waiting
    finally:
        await server.drop(copy)


def struck(ledger_url: str, folder: Path, name: str, strike: Strike, at: str = BETWEEN) -> tuple[Result, list[str]]:
    """One strike of a scenario while a position is opened, and what crossed the boundaries without it.

    Other cells work on the same server meanwhile.
    """

    async def doing() -> tuple[Result, list[str]]:
        async with waiting_next_door(ledger_url):
            return await alone()

    async def alone() -> tuple[Result, list[str]]:
        async with foreign_cell(ledger_url, spec_of("harbor.toml"), folder) as cell:
            run = await record_clean(cell, "open")  # with its books right before and after
            scenario = next(each for each in scenarios_of(spec_of("harbor.toml")) if each.name == name)
            cell.operation = "open"
            trial = next(
                trial
                for point, trial in scenario.trials("open", run.baseline.points)
                if at in point.label and trial.strike is strike
            )
            await prepare(cell, "open")
            labels = [point.label for point in run.baseline.points]
            return await try_until_struck(cell, trial, run.clean, Unwritten()), labels

    return asyncio.run(doing())


def test_its_books_are_right_until_it_dies_between_two_requests(ledger_url: str, tmp_path: Path) -> None:
    result, labels = struck(ledger_url, tmp_path, "kill_during_trade_open", Strike.KILL_BEFORE)
    assert result.verdict == Verdict.FAILED
    assert result.receipt is not None
    assert result.receipt["message"] == BETWEEN
    assert {"filled order without execution", "neither done nor undone"} <= {each.rule for each in result.findings}
    # The boundary is its HTTP: each table and method is a crash point of its own, and no statement is.
    assert {"ledger: POST execution_orders", "ledger: PATCH execution_orders", "ledger: GET positions"} <= set(labels)
    assert not [label for label in labels if "INSERT" in label or "COMMIT" in label]


def test_preflight_tries_it_through_its_rest_server(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE.parents[1])
    named = {
        "DATABASE_URL": ledger_url,
        "BROKER_URL": "http://127.0.0.1:1",
        "ACCOUNT": "a",
        "TOKEN": "t",
        "ALIVE_URL": "http://127.0.0.1:1",
    }
    for name, value in named.items():
        monkeypatch.setenv(f"HARBOR_{name}", value)
    needs = {need.name: need for need in tried(spec_of("harbor.toml"))}
    assert [(need.name, need.words) for need in needs.values() if not need.met] == []
    assert "messages went through it" in needs["proxy to the books"].words


def test_a_lock_on_its_tables_is_seen_through_the_rest_server(ledger_url: str, tmp_path: Path) -> None:
    result, _ = struck(ledger_url, tmp_path, "slow_database_queries", Strike.LOCK_HELD)
    assert result.receipt is not None, result.reason
    assert result.receipt["proof"]["waiting_backend_pid"]
    assert result.verdict == Verdict.PASSED, (result.reason, result.findings)


def test_a_deadlock_within_one_request_is_real_and_seen_in_its_answer(ledger_url: str, tmp_path: Path) -> None:
    result, _ = struck(ledger_url, tmp_path, "database_deadlock", Strike.DEADLOCK)
    assert result.receipt is not None, result.reason
    proof = result.receipt["proof"]
    assert (proof["sqlstate"], proof["target_had"], proof["target_wanted"]) == (
        "40P01",
        "harbor.trade_executions",
        "harbor.positions",
    )
    assert result.verdict == Verdict.PASSED, (result.reason, result.findings)


def test_a_request_that_touches_one_table_can_meet_no_deadlock(
    ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = Cell.direct

    async def late(cell: Cell) -> Any:
        await asyncio.sleep(0.3)  # a slow machine: the desk's next request waits for a table by the time we look
        return await direct(cell)

    monkeypatch.setattr(Cell, "direct", late)
    result, _ = struck(ledger_url, tmp_path, "database_deadlock", Strike.DEADLOCK, "ledger: PATCH execution_orders")
    assert (result.applies, result.receipt) == (False, None), result.reason
    assert "touches no second table" in result.reason
