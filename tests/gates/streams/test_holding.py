"""The stream process itself: one of two holds, the other takes over, and a run's streams are in its rows."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from django.db import DataError, connection, transaction
from django.utils import timezone

from gates.models import Alert, Stream, StreamGap, StreamLease
from gates.streams import holding, lease
from gates.streams.writing import Cut, Standing, _write, keep
from tests.gates.cast import a_run
from tests.gates.elsewhere import ROOT
from tests.gates.rehearsal.broker.conftest import TOKEN, running_broker

LIMIT_S = 40


@pytest.fixture(scope="module")
def broker():
    with running_broker("--no-feed") as running:
        yield running


def process(server):
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "wartest_site.settings",
        "DATABASE_URL": server.url(connection.settings_dict["NAME"]),
        "TOKEN_OF_THE_TESTS": TOKEN,
    }
    return subprocess.Popen([sys.executable, "-m", "gates.streams"], cwd=ROOT, env=env)


def until(true):
    ends = time.monotonic() + LIMIT_S
    while not (found := true()):
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.05)
    return found


def spec_of(broker, account):
    return {
        "ledger": {"url": "postgresql://nobody@127.0.0.1:1/none", "schema": "wartest"},
        "broker": {
            "kind": "oanda",
            "url": f"http://127.0.0.1:{broker.port}",
            "account": account,
            "token": "env:TOKEN_OF_THE_TESTS",
        },
        "process": {"health": "http://127.0.0.1:1/health"},
    }


@pytest.mark.django_db(transaction=True)
def test_one_process_holds_the_streams_and_the_other_takes_over_when_it_is_killed(postgres_server, broker):
    account = broker.fresh_account()
    broker.tick("EUR_USD", "1.1000", "1.1002")
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": "10", "stopLossOnFill": {"price": "1.0990"}}
    broker.v3.post(f"/accounts/{account}/orders", json={"order": order}).raise_for_status()
    run = a_run(start=timezone.now(), spec=spec_of(broker, account))
    pair = [process(postgres_server), process(postgres_server)]
    try:
        until(lambda: Stream.objects.filter(run=run, state="connected").count() == 2)
        first = StreamLease.objects.get()
        holder = next(one for one in pair if first.holder.split(":")[1] == str(one.pid))
        holder.kill()
        holder.wait(10)
        broker.v3.post(f"/accounts/{account}/orders", json={"order": order}).raise_for_status()
        second = until(lambda: StreamLease.objects.filter(attempt=first.attempt + 1).first())
        assert second.holder != first.holder
        gap = until(lambda: StreamGap.objects.filter(run=run, kind="transactions").first())
        assert gap.repaired
        assert "while nobody held the stream" in gap.sentence

        broker.control.post("/faults", json={"kind": "withhold_stops"}).raise_for_status()
        until(lambda: Stream.objects.filter(run=run, state="connected", connections__gte=2).count() == 2)
        broker.tick("EUR_USD", "1.0980", "1.0982")
        alert = until(lambda: Alert.objects.filter(run=run, rule="missed SL/TP trigger").first())
        assert (alert.rule, alert.level) == ("missed SL/TP trigger", "critical")
        assert TOKEN not in json.dumps(list(Stream.objects.values()), default=str)
    finally:
        broker.control.delete("/faults")
        for one in pair:
            one.send_signal(signal.SIGTERM)
        codes = [one.wait(15) for one in pair]
    assert sorted(codes) == [-signal.SIGKILL, 0]
    assert StreamLease.objects.get().holder == "", "who ends in peace gives the lease back"


@pytest.mark.django_db(transaction=True)
def test_an_alert_is_raised_while_what_is_kept_of_the_runs_cannot_be_written(postgres_server, broker):
    account = broker.fresh_account()
    broker.tick("EUR_USD", "1.1000", "1.1002")
    order = {"type": "MARKET", "instrument": "EUR_USD", "units": "10", "stopLossOnFill": {"price": "1.0990"}}
    broker.v3.post(f"/accounts/{account}/orders", json={"order": order}).raise_for_status()
    run = a_run(start=timezone.now(), spec=spec_of(broker, account))
    holder = process(postgres_server)
    try:
        until(lambda: Stream.objects.filter(run=run, state="connected").count() == 2)
        broker.control.post("/faults", json={"kind": "withhold_stops"}).raise_for_status()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE gates_stream IN EXCLUSIVE MODE")
            broker.tick("EUR_USD", "1.0980", "1.0982")
            until(lambda: Alert.objects.filter(run=run, rule="missed SL/TP trigger").exists())
    finally:
        broker.control.delete("/faults")
        holder.send_signal(signal.SIGTERM)
        assert holder.wait(15) == 0


@pytest.mark.django_db
def test_a_lease_is_renewed_by_its_holder_and_by_nobody_else_until_it_is_over():
    now = timezone.now()
    assert lease.take("one", now=now)
    assert not lease.take("two", now=now + lease.LEASE)
    assert lease.take("one", now=now + lease.LEASE)
    assert lease.take("two", now=now + 2 * lease.LEASE + lease.LEASE / 2)
    assert not lease.take("one", now=now + 2 * lease.LEASE)
    lease.give_back("one", now=now)
    assert StreamLease.objects.get().holder == "two"


@pytest.mark.django_db
def test_what_the_broker_says_is_kept_where_no_database_could_store_it_as_it_is():
    run = a_run(start=timezone.now())
    keep([Standing(run.pk, "prices", reason="No JSON: \0\ud83d")])
    now = timezone.now()
    _write((Cut(run.pk, "prices", now, now, "no price: \0", repaired=False), 1))
    assert Stream.objects.get().reason == "No JSON: \ufffd\ufffd"
    assert StreamGap.objects.get().sentence == "no price: \ufffd"


def test_rows_that_cannot_be_written_do_not_end_the_streams(monkeypatch, caplog):
    def refuse():
        raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")

    monkeypatch.setattr(holding, "runs_to_follow", refuse)
    asyncio.run(holding.Holder("one")._attend())
    assert "could not be attended to" in caplog.text
