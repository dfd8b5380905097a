"""A desk over a hosted Postgres, where no transaction spans requests: right until something strikes, and then not."""

import asyncio
from pathlib import Path
from typing import Any

from audits.verdicts import Verdict
from gates.chaos.recording import prepare, record_clean
from gates.chaos.recovery import Result, try_until_struck
from gates.chaos.scenarios import SCENARIOS
from gates.chaos.striking import Unwritten
from tests.foreign_desk.ground import HERE, foreign_cell, spec_of, with_packages, with_schema


def test_its_books_are_right_until_it_dies_between_two_requests(postgres_server: Any, tmp_path: Path) -> None:
    with_packages(HERE / "harbor")
    ledger_url = with_schema(
        postgres_server.create_database("harbor_template"), "harbor/schema.sql", "harbor.views.sql"
    )

    async def killed() -> Result:
        async with foreign_cell(ledger_url, spec_of("harbor.toml"), tmp_path) as cell:
            run = await record_clean(cell, "open")  # with its books right before and after
            scenario = next(each for each in SCENARIOS if each.name == "kill_during_trade_open")
            cell.operation = "open"
            trial = next(
                trial
                for point, trial in scenario.trials("open", run.baseline.points)
                if point.label == "ledger: INSERT INTO harbor.trade_executions"
            )
            await prepare(cell, "open")
            return await try_until_struck(cell, trial, run.clean, Unwritten())

    result = asyncio.run(killed())
    assert result.verdict == Verdict.FAILED
    assert result.receipt is not None
    assert {"filled order without execution", "neither done nor undone"} <= {each.rule for each in result.findings}
