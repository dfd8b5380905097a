"""While connections are refused somebody must ask for one, or it proves nothing; what the cut itself broke is found."""

import asyncio
from types import SimpleNamespace

import psycopg
import pytest
from django.utils import timezone

from gates.chaos.cells.target import Answer
from gates.chaos.engine import closing, work
from gates.chaos.messages import Channel, Point, Receipt, Strike
from gates.chaos.proxies.events import Struck
from gates.chaos.strikes import striking
from gates.chaos.strikes.clean_runs import record_clean
from gates.chaos.strikes.striking import Unwritten, on_the_wire
from gates.chaos.strikes.trying import try_until_struck
from gates.chaos.trials import Trial
from gates.targets.programs import read_program
from gates.targets.rehearsal import cell_program
from tests.gates.chaos.desk import running_desk
from tests.gates.chaos.runs import started

AT_COMMIT = Point.parse("ledger:request:1:COMMIT")
REFUSED = {"duration_ms": 100, "within_ms": 60_000}


@pytest.mark.parametrize("strike", [Strike.REFUSE_CONNECTIONS, Strike.RESET])
def test_a_target_that_connects_only_when_it_is_asked_is_asked_whether_it_is_well(strike, monkeypatch):
    monkeypatch.setattr(striking, "KNOCK_PAUSE_S", 0.01)
    monkeypatch.setattr(striking, "LATE_EVENT_S", 0.2)
    receipt = Receipt(strike, None, 1.0, {})

    async def steps():
        events = asyncio.Queue()

        async def unwell():
            events.put_nowait((Channel.LEDGER, Struck(receipt)))
            return ""

        async def arm(*_, **__):
            return Answer(503, {}, 1.0)

        cell = SimpleNamespace(wires={Channel.LEDGER: SimpleNamespace(control=SimpleNamespace(arm=arm))}, events=events)
        cell.premises = SimpleNamespace(program=read_program(cell_program()))
        cell.target = SimpleNamespace(unwell=unwell)
        trial = Trial("open", AT_COMMIT, strike, {} if strike is Strike.RESET else REFUSED | {"within_ms": 100})
        async with on_the_wire(cell, trial, AT_COMMIT) as follow:
            return await follow(asyncio.create_task(arm()))

    seen = asyncio.run(steps())
    assert seen.receipt == (receipt if strike is Strike.REFUSE_CONNECTIONS else None)


async def cut_where_nobody_asks(spec, folder, sql):
    """Every connection cut, and nobody waited for to ask for another; what it broke is made by `sql`."""
    async with running_desk(spec, folder) as cell:
        clean = (await record_clean(cell, "open")).clean
        ask = cell.ask

        async def asked(operation):
            answer = await ask(operation)
            with psycopg.connect(cell.ledger_url, autocommit=True) as books:
                books.execute(sql)
            return answer

        cell.ask = asked
        trial = Trial("open", AT_COMMIT, Strike.REFUSE_CONNECTIONS, {"duration_ms": 100, "within_ms": 1})
        return await try_until_struck(cell, trial, clean, Unwritten())


@pytest.mark.parametrize(
    ("sql", "verdict"), [("SELECT 1", "inconclusive"), ("UPDATE wartest.accounts SET balance = balance + 1", "failed")]
)
def test_a_target_of_which_nobody_was_refused_must_survive_that_all_was_cut(desk_target, tmp_path, sql, verdict):
    result = asyncio.run(cut_where_nobody_asks(desk_target.spec, tmp_path, sql))
    assert (result.verdict, result.receipt, result.tries) == (verdict, None, 1)
    assert result.applies is (verdict == "failed")
    assert bool(result.findings) is (verdict == "failed")
    assert result.recovery_ms > 0
    assert verdict == "failed" or "Nobody asked for a connection within 1 ms" in result.reason


@pytest.mark.parametrize("point", [AT_COMMIT, Point.parse("broker:request:1:POST orders")], ids=str)
@pytest.mark.parametrize(("receipts", "verdict"), [((None, None), "inconclusive"), ((None, {}), "passed")])
def test_no_connection_seen_refused_is_no_pass_and_its_channel_is_named(desk_target, receipts, verdict, point):
    run = started(desk_target, "database_connection_drop")
    scenario, now = run.scenarios.get(), timezone.now()
    done = {"operation": "open", "point": str(point), "position": 0, "label": "the message", "phase": "done"}
    lost = done | {"strike": "lose the answer", "fault": "lose the answer", "receipt": {}, "verdict": "passed"}
    scenario.crash_points.create(number=1, **lost)
    for number, receipt in enumerate(receipts, start=2):
        seen = {"receipt": receipt, "applies": receipt is not None, "verdict": "passed" if receipt == {} else None}
        scenario.crash_points.create(number=number, strike="refuse connections", fault="refuse", **done, **seen)
    work.move_scenario(scenario.pk, "armed", now=now)
    closing.close_scenarios(run.pk, worker="w", now=now)
    result = run.slots.get().result
    said = f"asked for a connection to the {point.channel} while they were refused"
    assert (result.verdict, said in result.reason) == (verdict, verdict == "inconclusive")
