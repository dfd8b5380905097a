"""A recovery that only pauses is not over."""

import asyncio
import time
from types import SimpleNamespace

import psycopg
import pytest

from gates.chaos.cells.target import TargetEndedError
from gates.chaos.strikes import recovery, settling
from gates.chaos.strikes.recovery import Result


def test_a_target_that_works_again_while_it_should_rest_is_waited_for(monkeypatch):
    looks = ["", "", "1 orders in doubt", "1 orders in doubt", "", "", ""]

    async def unsettled(_cell, _since):
        return looks.pop(0)

    async def well():
        return ""

    monkeypatch.setattr(settling, "unsettled", unsettled)
    monkeypatch.setattr(settling, "REST_S", 0.0)
    cell = SimpleNamespace(target=SimpleNamespace(unwell=well))
    asyncio.run(settling.rested(cell, time.monotonic() + 60))
    assert looks == []


def resting_cell(monkeypatch, *words):
    """A cell at rest whose target says these words of itself one after the other; None: it has ended."""
    looks = list(words)

    async def at_rest(_cell, _since):
        return ""

    async def unwell():
        told = looks.pop(0)
        if told is None:
            raise TargetEndedError("The target has ended: KeyError: 'EUR_USD'")
        return told

    monkeypatch.setattr(settling, "unsettled", at_rest)
    monkeypatch.setattr(settling, "REST_S", 0.0)
    return looks, SimpleNamespace(target=SimpleNamespace(unwell=unwell))


def test_a_target_that_ends_right_after_its_first_good_look_has_not_recovered(monkeypatch):
    _, cell = resting_cell(monkeypatch, "", None)
    with pytest.raises(TargetEndedError, match="has ended: KeyError"):
        asyncio.run(settling.rested(cell, time.monotonic() + 60))


def test_a_target_that_is_unwell_again_while_it_should_rest_is_waited_for(monkeypatch):
    looks, cell = resting_cell(monkeypatch, "", "it answers 503", "it answers 503", "", "")
    asyncio.run(settling.rested(cell, time.monotonic() + 60))
    assert looks == []


def test_a_target_that_ends_while_its_books_are_audited_is_not_restarted_for_a_pass(monkeypatch):
    _, cell = resting_cell(monkeypatch, None)
    result = Result()
    asyncio.run(recovery._second_restart(cell, None, result))
    assert result.verdict == "failed"
    assert [found.rule for found in result.findings] == ["target ended"]
    assert "has ended: KeyError" in result.reason


async def at_the_books(postgres_server, name, *grants):
    """What is unfinished where somebody else's session is idle and then in a transaction, as a user sees it who has no
    right but these."""
    url = postgres_server.create_database(name)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        await owner.execute("CREATE TABLE orders (status text, broker_order_id text)")
        await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'seen'")
        await owner.execute(f"GRANT SELECT ON orders TO {name}")
        for right in grants:
            await owner.execute(f"GRANT {right} TO {name}")
        async with await psycopg.AsyncConnection.connect(url, user=name, password="seen", autocommit=True) as ours:

            async def direct():
                return ours

            cell = SimpleNamespace(direct=direct, premises=SimpleNamespace(schema="public"))
            idle = await settling.unsettled(cell, 0.0)
            async with owner.transaction():
                return idle, await settling.unsettled(cell, 0.0)


def test_a_session_that_may_not_be_seen_is_not_called_at_rest(postgres_server):
    unseen = "1 sessions may not be seen at rest: grant pg_read_all_stats to the cells' user"
    assert asyncio.run(at_the_books(postgres_server, "blind")) == (unseen, unseen)
    assert asyncio.run(at_the_books(postgres_server, "seeing", "pg_read_all_stats")) == ("", "1 transactions open")


def test_an_order_is_in_doubt_unless_it_waits_at_the_broker_and_the_ledger_knows_it(postgres_server):
    url = postgres_server.create_database("waiting")

    async def looks():
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as ours:
            await ours.execute("CREATE TABLE orders (status text, broker_order_id text)")
            await ours.execute("INSERT INTO orders VALUES ('filled', '1'), ('submitted', '2')")

            async def direct():
                return ours

            async def transactions(_account):
                return [{"id": "2", "type": "LIMIT_ORDER"}, {"id": "3", "type": "LIMIT_ORDER"}]

            broker = SimpleNamespace(transactions=transactions)
            cell = SimpleNamespace(
                direct=direct, account="a", premises=SimpleNamespace(schema="public", simulator=broker)
            )
            yield await settling.unsettled(cell, 0.0)
            await ours.execute("INSERT INTO orders VALUES ('pending', NULL), ('submitted', '4')")
            yield await settling.unsettled(cell, 0.0)

    async def all_looks():
        return [words async for words in looks()]

    assert asyncio.run(all_looks()) == ["", "2 orders in doubt"]
