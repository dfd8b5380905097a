"""What the desk does when its database or its broker goes away, stands still and comes back."""

import time

import pytest

from .books import assert_books_are_exact, rows
from .processes import end, running_broker, running_desk, wait_until
from .relay import running_relay

HEALTH_LIMIT_S = 3.0


@pytest.fixture
def broker():
    with running_broker("--no-feed") as running:
        yield running


@pytest.fixture
def ledger_relay(postgres_server):
    with running_relay(postgres_server.port) as relay:
        yield relay


def through(url, server, relay):
    return url.replace(f":{server.port}/", f":{relay.port}/")


def answered_in(desk):
    clock = time.monotonic()
    reply = desk.health()
    return reply, time.monotonic() - clock


def test_a_database_that_drops_and_refuses_shows_and_heals(desk_database_url, postgres_server, ledger_relay, broker):
    url = through(desk_database_url, postgres_server, ledger_relay)
    with running_desk(url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        ledger_relay.cut(refuse=True)
        reply, _ = answered_in(desk)
        assert reply.status_code == 503
        assert "the database does not answer" in reply.json()["reason"]
        assert desk.ask("open").status_code == 503
        ledger_relay.admit()
        wait_until(desk.is_well, what="the desk is well again")
        assert desk.ask("open").json()["status"] == "filled"
    assert_books_are_exact(desk_database_url, broker)


def test_a_database_that_stands_still_does_not_hold_up_health_nor_the_end(
    desk_database_url, postgres_server, ledger_relay, broker
):
    url = through(desk_database_url, postgres_server, ledger_relay)
    with running_desk(url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        ledger_relay.flowing.clear()
        reply, took_s = answered_in(desk)
        assert reply.status_code == 503
        assert took_s < HEALTH_LIMIT_S
        ledger_relay.flowing.set()
        wait_until(desk.is_well, what="the desk is well again", limit_s=30)
        ledger_relay.flowing.clear()
        assert desk.health().status_code == 503
        assert end(desk.process) < 3


def test_a_broker_that_stands_still_does_not_hold_up_health_nor_the_end(desk_database_url, broker):
    with (
        running_relay(broker.port) as relay,
        running_desk(desk_database_url, f"http://127.0.0.1:{relay.port}", "--no-trading") as desk,
    ):
        wait_until(desk.is_well, what="the desk is well")
        relay.flowing.clear()
        reply, took_s = answered_in(desk)
        assert reply.status_code == 503
        assert "the broker does not answer" in reply.json()["reason"]
        assert took_s < HEALTH_LIMIT_S
        relay.flowing.set()
        wait_until(desk.is_well, what="the desk is well again", limit_s=30)
        relay.flowing.clear()
        assert end(desk.process) < 3


def test_a_lost_commit_answer_books_nothing_twice(desk_database_url, postgres_server, ledger_relay, broker):
    url = through(desk_database_url, postgres_server, ledger_relay)
    with running_desk(url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the desk is well")
        for _ in range(5):
            desk.ask("open")
            ledger_relay.cut(refuse=False)
        wait_until(desk.is_well, what="the desk is well again")
        wait_until(
            lambda: not rows(desk_database_url, "SELECT 1 FROM wartest.orders WHERE status = 'pending'"),
            what="no intent is in doubt",
        )
        # The last cut may still hit the first question: the desk says 503 then, and is asked again.
        answers = [desk.ask("reconcile").json()]
        wait_until(
            lambda: "mismatches" in answers[-1] or answers.append(desk.ask("reconcile").json()),
            what="the desk reconciles",
        )
        assert answers[-1]["mismatches"] == []
    assert_books_are_exact(desk_database_url, broker)


def test_a_desk_that_rarely_looks_at_the_broker_still_gives_up_an_intent_that_never_got_there(
    desk_database_url, broker
):
    with running_desk(desk_database_url, broker.url, "--no-trading") as desk:
        wait_until(desk.is_well, what="the tables are there")
    written = """INSERT INTO wartest.orders (order_id, account_id, client_order_id, instrument, units, order_type,
                     status, created_at, updated_at)
                 SELECT 'never sent', account_id, 'never sent', 'EUR_USD', 1000, 'MARKET', 'pending', now(), now()
                 FROM wartest.accounts RETURNING order_id"""
    assert len(rows(desk_database_url, written)) == 1
    with running_desk(desk_database_url, broker.url, "--no-trading", "--poll-every-s", "3600"):
        wait_until(lambda: status_of("never sent", desk_database_url) == "cancelled", what="the intent is given up")


def status_of(order_id, url):
    return rows(url, f"SELECT status FROM wartest.orders WHERE order_id = '{order_id}'")[0]["status"]
