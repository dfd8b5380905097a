"""When the books and the broker part, the desk says so and books no further."""

import psycopg
import pytest

from .books import cursor_of, rows
from .processes import running_broker, running_desk, wait_until
from .transactions import ACCOUNT


@pytest.fixture
def broker():
    with running_broker("--no-feed") as running:
        yield running


def tamper(url, statement):
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def test_a_balance_changed_behind_its_back_stops_the_booking(desk_database_url, broker):
    with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        tamper(desk_database_url, "UPDATE wartest.accounts SET balance = balance + 1")
        (mismatch,) = desk.ask("reconcile").json()["mismatches"]
        assert mismatch == "balance is 100001.0000 here, 100000.0000 at the broker"
        before = cursor_of(desk_database_url)
        refused = desk.ask("open")
        assert refused.status_code == 503
        reply = desk.health()
        assert reply.status_code == 503
        assert "the books say 100001.0000, the broker 100000.0000" in reply.json()["reason"]
        assert cursor_of(desk_database_url) == before + 1  # the order, not its fill
    assert rows(desk_database_url, "SELECT max(mismatches) AS n FROM wartest.reconciliations")[0]["n"] == 1


def test_an_account_started_afresh_shows_in_health(desk_database_url, broker):
    with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        desk.ask("open")
        broker.control("POST", "/accounts", {"account_id": ACCOUNT, "balance": "5", "currency": "USD"})
        wait_until(lambda: desk.health().status_code == 503, what="health fails", limit_s=10)
        assert "last" in desk.health().json()["reason"]
