"""A desk in Node.js that knows nothing of the portal: clean it comes through, and each of its mistakes is found."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audits.verdicts import Verdict
from gates.chaos.cells.beginnings import FLAT
from gates.chaos.cells.cell import Cell
from gates.chaos.scenarios import scenarios_of
from gates.chaos.strikes.clean_runs import prepare, record_clean
from gates.chaos.strikes.recovery import Result
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_until_struck
from tests.foreign_desk.ground import HERE, foreign_cell, spec_of, with_packages, with_template

OPERATIONS = ("open", "close", "partial_fill", "margin_update", "reconcile", "replay")


@pytest.fixture(scope="module")
def ledger_url(postgres_server: Any) -> str:
    """A server with the template that the description names."""
    with_packages(HERE / "meridian")
    return with_template("meridian", postgres_server)


def in_cell(ledger_url: str, folder: Path, bug: str, work: Callable[[Cell], Any]) -> Any:
    """Do something in a cell around the desk, with one of its mistakes switched on."""

    async def doing() -> Any:
        async with foreign_cell(ledger_url, spec_of("meridian.toml", BUG=bug), folder) as cell:
            return await work(cell)

    return asyncio.run(doing())


async def struck(cell: Cell, name: str, operation: str, label: str) -> list[Result]:
    """Make the strikes of a scenario at the messages whose label holds these words."""
    run = await record_clean(cell, operation)
    scenario = next(each for each in scenarios_of(spec_of("meridian.toml")) if each.name == name)
    trials = [trial for point, trial in scenario.trials(operation, run.baseline.points) if label in point.label]
    assert trials, f"{operation} sends nothing like {label}"
    results = []
    for trial in trials:
        cell.operation = operation
        await prepare(cell, operation)
        results.append(await try_until_struck(cell, trial, run.clean, Unwritten()))
    return results


def test_each_operation_goes_the_same_way_twice_with_its_books_right(ledger_url: str, tmp_path: Path) -> None:
    async def all_six(cell: Cell) -> dict[str, int]:
        return {operation: len((await record_clean(cell, operation)).baseline.points) for operation in OPERATIONS}

    points = in_cell(ledger_url, tmp_path, "", all_six)
    assert min(points.values()) >= 10, points


def test_the_clean_desk_survives_what_an_order_can_meet(ledger_url: str, tmp_path: Path) -> None:
    async def strikes(cell: Cell) -> list[Result]:
        return [
            *await struck(cell, "network_drop_during_order", "open", "broker: POST orders"),
            *await struck(cell, "kill_during_trade_open", "open", "broker: POST orders"),
            *await struck(cell, "kill_during_trade_close", "close", "INSERT INTO meridian.cash_ledger"),
            *await struck(cell, "database_connection_drop", "reconcile", "meridian.account FOR UPDATE"),
        ]

    results = in_cell(ledger_url, tmp_path, "", strikes)
    assert [(result.verdict, result.reason) for result in results if result.verdict != Verdict.PASSED] == []
    assert {result.end for result in results} == {"done", "not done"}
    assert all(result.receipt for result in results)


@pytest.mark.parametrize(
    ("bug", "where", "rule"),
    [
        ("send-first", ("kill_during_trade_open", "open", "broker: POST orders answered"), "execution without intent"),
        ("resend", ("network_drop_during_order", "open", "broker: POST orders answered"), "execution without intent"),
        ("two-steps", ("kill_during_trade_close", "close", "INSERT INTO meridian.cash_ledger"), "half done"),
        ("naked", ("kill_during_trade_open", "open", "broker: PUT trades orders"), "position without stop"),
    ],
)
def test_each_mistake_is_found_for_its_own_reason(
    ledger_url: str, tmp_path: Path, bug: str, where: tuple[str, str, str], rule: str
) -> None:
    async def until_found(cell: Cell) -> tuple[set[str], list[str]]:
        run = await record_clean(cell, where[1])
        scenario = next(each for each in scenarios_of(spec_of("meridian.toml")) if each.name == where[0])
        found, reasons = set[str](), list[str]()
        for point, trial in scenario.trials(where[1], run.baseline.points):
            if where[2] in point.label and rule not in found:
                cell.operation = where[1]
                await prepare(cell, where[1])
                result = await try_until_struck(cell, trial, run.clean, Unwritten())
                found |= {finding.rule for finding in result.findings}
                reasons.append(f"{trial.strike} at {point.label}: {result.verdict}, {result.reason}")
        return found, reasons

    found, reasons = in_cell(ledger_url, tmp_path, bug, until_found)
    assert rule in found, reasons


def test_money_in_floats_is_found_by_the_audit(ledger_url: str, tmp_path: Path) -> None:
    async def audited(cell: Cell) -> set[str]:
        await cell.prepare(FLAT)
        await cell.reset()
        return {finding.rule for finding in (await cell.audited()).findings}

    assert {"transaction booked with another sum", "broker balance"} <= in_cell(ledger_url, tmp_path, "float", audited)
