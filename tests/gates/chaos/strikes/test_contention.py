"""Locks and deadlocks on a real PostgreSQL: what a statement waited for, and what is only told of it."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import psycopg
import pytest

from gates.chaos.messages import Channel, Direction, Message, Point, Strike
from gates.chaos.proxies.events import Held, Refused
from gates.chaos.strikes import contention
from gates.chaos.trials import Trial

SCHEMA = """
    CREATE TABLE fills (id int); CREATE TABLE positions (id int); CREATE TABLE notes (id int);
    CREATE FUNCTION book_fill(n int) RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO fills VALUES (n); INSERT INTO positions VALUES (n); RETURN n; END $$;
    CREATE FUNCTION note(n int) RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO notes VALUES (n); RETURN n; END $$;
"""
LOCK_MS = 300


@pytest.fixture(scope="module")
def books(postgres_server):
    url = postgres_server.create_database("contention")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
    return url


class Target:
    """A target of one session: the statement held is carried out when it is let go, then what comes next on it."""

    def __init__(self, url, session, statement, after):
        self.ledger_url, self.session, self.after, self.events = url, session, after, asyncio.Queue()
        fingerprint = statement.replace("7", "?")
        self.message = Message(Channel.LEDGER, Direction.REQUEST, fingerprint, 1, f"ledger: {fingerprint}", 0.0, 1)
        self.statement, self.answer, self.work = statement, None, None
        self.wires = {Channel.LEDGER: SimpleNamespace(control=self)}

    @property
    def held(self):
        return Held(1, Strike.DEADLOCK, self.message, self.session.info.backend_pid)

    async def decide(self, *_):
        self.work = asyncio.create_task(self.go_on())

    async def go_on(self):
        outcome = "SELECT 1"
        try:
            await self.session.execute(self.statement)
        except psycopg.errors.DeadlockDetected as error:
            outcome = f"ERROR {error.sqlstate}"
            self.events.put_nowait((Channel.LEDGER, Refused(str(error.sqlstate), self.message.connection, 0.0)))
        self.answer = Message(**{**as_dict(self.message), "direction": Direction.ANSWER, "outcome": outcome})
        if self.after and not outcome.startswith("ERROR"):
            await self.session.execute(self.after)

    async def answer_to(self, _):
        return self.answer

    async def direct(self):
        return self.observer


def as_dict(message):
    return {name: getattr(message, name) for name in Message.__slots__}


@asynccontextmanager
async def target_of(url, statement, *, before="", after="", autocommit=False):
    async with await psycopg.AsyncConnection.connect(url, autocommit=autocommit) as session:
        await session.execute("SET deadlock_timeout = '200ms'")
        await session.commit()
        if before:
            await session.execute(before)
        target = Target(url, session, statement, after)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as target.observer:
            yield target
            await asyncio.wait_for(asyncio.gather(target.work, return_exceptions=True), 30)
        await session.rollback()


def struck(monkeypatch, strike, url, statement, **how):
    async def steps():
        async with target_of(url, statement, **how) as target:

            async def held(*_):
                return target.held

            monkeypatch.setattr(contention, "_held", held)
            point = Point(Channel.LEDGER, Direction.REQUEST, target.message.fingerprint, 1)
            trial = Trial("close", point, strike, {"lock_ms": LOCK_MS})
            async with contention.locking_session(target) as session:
                make = contention._lock if strike is Strike.LOCK_HELD else contention._deadlock
                return await make(target, trial, None, session)

    return asyncio.run(steps())


@pytest.mark.parametrize(
    "statement",
    ["SELECT book_fill(7)", "SELECT * FROM book_fill(7)", "WITH b AS (SELECT book_fill(7)) SELECT * FROM b"],
)
def test_a_function_that_books_in_a_transaction_of_its_own_meets_a_deadlock_within_itself(
    monkeypatch, books, statement
):
    seen = struck(monkeypatch, Strike.DEADLOCK, books, statement, autocommit=True)
    assert seen.receipt is not None, seen.missed
    proof = seen.receipt.proof
    assert (proof["sqlstate"], proof["target_had"], proof["target_wanted"]) == (
        "40P01",
        "public.fills",
        "public.positions",
    )


def test_a_function_called_while_the_target_has_locked_a_table_meets_a_deadlock_over_what_it_was_seen_to_want(
    monkeypatch, books
):
    seen = struck(monkeypatch, Strike.DEADLOCK, books, "SELECT book_fill(7)", before="INSERT INTO positions VALUES (1)")
    assert seen.receipt is not None, seen.missed
    assert (seen.receipt.proof["target_had"], seen.receipt.proof["target_wanted"]) == (
        "public.positions",
        "public.fills",
    )


@pytest.mark.parametrize(
    ("statement", "before"),
    [("SELECT note(7)", ""), ("INSERT INTO positions VALUES (7)", "INSERT INTO positions VALUES (1)")],
)
def test_what_wants_no_second_table_can_meet_no_deadlock(monkeypatch, books, statement, before):
    seen = struck(monkeypatch, Strike.DEADLOCK, books, statement, before=before, autocommit=not before)
    assert (seen.receipt, seen.applies) == (None, False), seen.missed


@pytest.mark.parametrize("statement", ["UPDATE positions SET id = 7", "SELECT book_fill(7)"])
@pytest.mark.parametrize("strike", [Strike.DEADLOCK, Strike.LOCK_HELD])
def test_a_table_that_another_session_holds_meanwhile_shows_nothing(monkeypatch, books, strike, statement):
    with psycopg.connect(books) as other:
        other.execute("INSERT INTO positions VALUES (3)")
        if "book" in statement:
            other.execute("INSERT INTO fills VALUES (3)")
        seen = struck(monkeypatch, strike, books, statement, before="INSERT INTO notes VALUES (1)")
        other.rollback()
    assert (seen.receipt, seen.applies) == (None, True)
    assert "could not be locked meanwhile" in seen.missed


def test_a_lock_is_held_only_before_the_statement_that_waits_for_it_not_before_the_one_ahead_of_it(monkeypatch, books):
    waits = {"after": "INSERT INTO positions VALUES (7)", "before": "INSERT INTO notes VALUES (1)"}
    seen = struck(monkeypatch, Strike.LOCK_HELD, books, "SELECT 7 FROM notes", **waits)
    assert (seen.receipt, seen.applies) == (None, False), seen.missed
    seen = struck(monkeypatch, Strike.LOCK_HELD, books, "INSERT INTO positions VALUES (7)")
    assert seen.receipt is not None, seen.missed
    assert seen.receipt.proof["lock_ms"] >= LOCK_MS
