"""A look at a ledger's server is one message: read only, bounded, and nothing of it stays with the session."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from gates.alerts.watching import server
from gates.alerts.watching.server import STATEMENT_LIMIT_MS, _Line
from wartest_site.embedded.postgres import PostgresServer

SHOWN = "SELECT current_setting('transaction_read_only'), current_setting('statement_timeout'), %(said)s"


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.url("postgres")


def test_what_is_asked_reads_only_within_its_limits_and_says_what_it_was_given(url: str) -> None:
    async def ask() -> None:
        line = _Line(url)
        said = "100 % o'clock; DROP TABLE x; --"
        row = await line.ask(SHOWN, {"said": said})
        assert row == ("on", f"{STATEMENT_LIMIT_MS // 1000}s", said)
        await line.close()

    asyncio.run(ask())


def test_after_a_query_that_fails_the_session_is_as_before_and_goes_on(url: str) -> None:
    async def ask() -> None:
        line = _Line(url)
        for wrong, error in (
            ("CREATE TABLE never (a int)", psycopg.errors.ReadOnlySqlTransaction),
            ("SELECT 1 / 0", psycopg.errors.DivisionByZero),
            ("SELECT pg_sleep(60)", psycopg.errors.QueryCanceled),
        ):
            with pytest.raises(error):
                await line.ask(wrong, {"none": None})
        connection = await line._connected()
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        shown = await connection.execute("SELECT current_setting('transaction_read_only')")
        assert await shown.fetchone() == ("off",)
        assert await line.ask("SELECT %(n)s", {"n": 7}) == (7,)
        await line.close()

    asyncio.run(ask())


def test_a_query_is_seen_among_more_sessions_that_rest_than_are_looked_at(url: str, monkeypatch) -> None:
    monkeypatch.setattr(server, "MOST_SESSIONS", 1)

    async def seen() -> str:
        resting = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(3)]
        for each in resting:
            await each.execute("SELECT 'at rest'")
        working = await psycopg.AsyncConnection.connect(url, autocommit=True)
        query = asyncio.create_task(working.execute("SELECT pg_sleep(60), 'at work'"))
        watch = server.ServerWatch(url, "wartest", "A", datetime.now(UTC))
        try:
            async with asyncio.timeout(20):
                while not (look := await watch.look()) or not look.sessions:
                    await asyncio.sleep(0.02)
        finally:
            await watch.close()
            await working.cancel_safe()
            await asyncio.gather(query, return_exceptions=True)
            for each in (working, *resting):
                await each.close()
        return look.sessions[0].query

    assert "'at work'" in asyncio.run(seen())
