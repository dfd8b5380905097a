"""A clean run is over when the operation has answered, its strikes start as it does, and it stands what they stand."""

import asyncio

import httpx
import psycopg
import pytest

from gates.chaos.cells.target import Answer
from gates.chaos.messages import Channel, Strike
from gates.chaos.strikes import recovery
from gates.chaos.strikes.clean_runs import NotSteadyError, prepare, record_clean
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_once
from gates.chaos.trials import Trial
from tests.gates.chaos.desk import running_desk


async def answering_too_early(spec, folder):
    """The clean run of an open of which most is done once it has answered that it was."""
    async with running_desk(spec, folder) as cell:
        ask, state, waiting = cell.ask, cell.state, []

        async def at_once(operation):
            waiting.append(operation)
            return Answer(200, {}, 1.0)

        async def and_then():
            found = await state()
            if waiting:
                assert (await ask(waiting.pop())).success
            return found

        cell.ask, cell.state = at_once, and_then
        await record_clean(cell, "open")


def test_what_an_operation_does_after_its_answer_makes_it_no_clean_run(desk_target, tmp_path):
    with pytest.raises(NotSteadyError, match=r"open goes on after its answer: .* changed .*orders.*broker"):
        asyncio.run(answering_too_early(desk_target.spec, tmp_path))


async def of_one_position_and_then_of_two(spec, folder):
    """The clean close of a target that refuses a second position, and a strike once it takes one after all."""
    async with running_desk(spec, folder) as cell:
        ask, opened = cell.target.ask, []

        async def one_at_a_time(operation):
            if operation in opened:
                return Answer(409, {"error": "a position is open already"}, 1.0)
            opened[:] = ["open"] if operation == "open" else []
            return await ask(operation)

        cell.target.ask = one_at_a_time
        alone = await record_clean(cell, "close")
        cell.target.ask, cell.prepared = ask, None
        await prepare(cell, "close")
        trial = Trial("close", alone.baseline.points[0].point, Strike.KILL_BEFORE)
        return alone.clean, await try_once(cell, trial, alone.clean, Unwritten()), await cell.state()


def test_a_strike_that_starts_from_more_positions_than_the_clean_run_says_nothing(desk_target, tmp_path):
    clean, result, state = asyncio.run(of_one_position_and_then_of_two(desk_target.spec, tmp_path))
    assert (clean.start.held, clean.end.held, state.held) == (1, 0, 2)
    assert (result.verdict, result.receipt, result.findings) == ("inconclusive", None, [])
    assert result.reason == "Another start: it holds 2 positions, in the clean run it held 1."


async def greets_the_broker(cell):
    """Send it at each start what changes nothing."""
    broker = cell.wires[Channel.BROKER]
    async with httpx.AsyncClient() as client:
        await client.put(f"http://{broker.host}:{broker.port}/v3/accounts/{cell.account}/greeting")


async def leaves_a_transaction_open(cell):
    """As a driver does that begins one with the first question and never ends it."""
    connection = await psycopg.AsyncConnection.connect(cell.ledger_url)
    await connection.execute("SELECT 1")
    cell.own_ways.append(connection)


async def with_ways_of_its_own(spec, folder, at_each_start):
    """Why the clean run of a desk that does this at each start is none, and by how many starts that was found."""
    async with running_desk(spec, folder) as cell:
        start, reset, starts, cell.own_ways = cell.start, cell.reset, [], []

        async def started():
            starts.append(await start())
            await at_each_start(cell)

        async def hung_up():
            for connection in cell.own_ways:
                await connection.close()
            await reset()

        await prepare(cell, "replay")
        cell.start, cell.reset = started, hung_up
        with pytest.raises(NotSteadyError) as told:
            await record_clean(cell, "replay")
        await hung_up()
        return str(told.value), len(starts)


@pytest.mark.parametrize(
    ("at_each_start", "found"),
    [
        (greets_the_broker, ("Second restart: nothing sent was expected; sent broker: PUT greeting", 3)),
        (leaves_a_transaction_open, ("The target was not settled in time: 1 transactions open", 2)),
    ],
)
def test_what_is_found_without_a_strike_is_held_against_no_strike(
    desk_target, tmp_path, monkeypatch, at_each_start, found
):
    monkeypatch.setattr(recovery, "RECOVERY_LIMIT_S", 2.0)
    words, starts = asyncio.run(with_ways_of_its_own(desk_target.spec, tmp_path, at_each_start))
    assert words.startswith("without any strike")
    assert (found[0] in words, starts) == (True, found[1])
