"""The delivering process itself: woken by what is cut, killed in mid-storm, doubled, and beside routes that hang."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress

import pytest
from django.db import connection, transaction
from django.utils import timezone

from gates.alerts.delivery import posting
from gates.alerts.delivery.posting import PLACES
from gates.alerts.delivery.routes import Wanted, add_route
from gates.alerts.raising import raise_alert
from gates.hanging_up import hang_up
from gates.models import Alert, Beat, Delivery, Route
from tests.gates.alerts.delivery.cast import LEVELS
from tests.gates.cast import a_run
from tests.gates.elsewhere import ROOT
from wartest_site.benchmarks.receivers import OK, web_receiver

LIMIT_S = 60
pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def delivering(server, **addresses):
    """A delivering process of its own for as long as the block runs, with these variables."""
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "wartest_site.settings",
        "DATABASE_URL": server.url(connection.settings_dict["NAME"]),
        **addresses,
    }
    process = subprocess.Popen([sys.executable, "-m", "gates.alerts.delivery"], cwd=ROOT, env=env)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


def until(true, what=""):
    ends = time.monotonic() + LIMIT_S
    while not (found := true()):
        assert time.monotonic() < ends, what or "it never came"
        time.sleep(0.05)
    return found


def lives():
    return Beat.objects.filter(kind="delivery").exists()


def route(name, levels=LEVELS, **more):
    return add_route(Wanted(name, f"env:{name.upper()}", levels, **more), timezone.now())


def happens(run, rule="system crash", level="critical", sentence="It died."):
    now = timezone.now()
    return raise_alert(run, rule=rule, level=level, sentence=sentence, event_at=now, now=now)


def address(receiver):
    return f"json://127.0.0.1:{receiver.port}/"


def all_delivered():
    return not Delivery.objects.filter(state="waiting").exists()


def test_what_is_cut_is_delivered_once_asked_again_after_a_500_and_said_where_the_address_is_wrong(postgres_server):
    wrong = "nosuch://user:hidden-secret@example.org"
    with web_receiver() as web, delivering(postgres_server, HOOK=address(web), WRONG=wrong):
        web.answer = b"HTTP/1.1 500 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        until(lives)
        route("hook")
        alert = happens(a_run())
        assert "500" in until(lambda: Delivery.objects.get().last_error)
        web.answer = OK
        until(all_delivered)
        row = Delivery.objects.get()
        assert web.keys == [row.key]
        assert row.attempts == web.asked
        alert.refresh_from_db()
        assert alert.delivered_at == row.delivered_at >= alert.raised_at
        trouble = until(lambda: said_of("wrong"))
        about = until(lambda: Alert.objects.filter(rule="alert route fails: wrong").first())
        until(lambda: any(key.startswith(f"alert-{about.pk}-") for key in web.keys))
    assert "env:WRONG holds an address that cannot be used" in trouble
    assert "hidden-secret" not in trouble + about.sentence + web.received[-1].text


def said_of(name):
    row = Route.objects.filter(name=name).first() or route(name)
    row.refresh_from_db()
    return row.trouble


def test_a_process_killed_in_mid_storm_loses_nothing_and_two_that_follow_share_the_rest(postgres_server):
    route("hook")
    run = a_run()
    for number in range(200):
        happens(run, rule=f"rule {number}", level=LEVELS[number % 3])
    wanted = set(Delivery.objects.values_list("key", flat=True))
    with web_receiver() as web:
        hook = {"HOOK": address(web)}
        with delivering(postgres_server, **hook) as first:
            until(lambda: len(web.keys) > 20)
            first.kill()
            first.wait(10)
        assert not all_delivered(), "it was killed in the middle"
        with delivering(postgres_server, **hook), delivering(postgres_server, **hook):
            until(all_delivered)
    assert set(web.keys) == wanted
    again = {key for key, times in Counter(web.keys).items() if times > 1}
    tried = set(Delivery.objects.filter(attempts__gt=1).values_list("key", flat=True))
    assert again <= tried, "nothing is sent twice but what was under way, and the row says so"
    assert len(tried) <= PLACES


def test_a_frozen_processs_messages_are_sent_by_another_and_noted_once(postgres_server):
    run = a_run()
    with web_receiver() as web:
        web.answer = None
        with delivering(postgres_server, HOOK=address(web)) as frozen:
            until(lives)
            route("hook")
            happens(run)
            until(lambda: web.asked)
            frozen.send_signal(signal.SIGSTOP)
            Delivery.objects.update(lease_until=timezone.now())  # as if its lease had run out
            web.answer = OK
            with delivering(postgres_server, HOOK=address(web)):
                until(all_delivered)
            frozen.send_signal(signal.SIGCONT)
            until(lambda: Beat.objects.get(kind="delivery").last_at > Delivery.objects.get().delivered_at)
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.last_error) == ("delivered", 2, "")


def test_neither_a_route_that_hangs_nor_a_storm_delays_what_is_critical(postgres_server):
    run = a_run()
    with web_receiver() as hangs, web_receiver() as well:
        hangs.answer = None
        with delivering(postgres_server, HANGS=address(hangs), WELL=address(well)):
            until(lives)
            route("hangs")
            for number in range(8):
                happens(run, rule=f"rule {number}", level="medium")
            until(lambda: hangs.asked >= PLACES - 1)
            route("well")
            with transaction.atomic():  # the process sees all of them at once, the critical one last
                for number in range(100):
                    happens(run, rule=f"storm {number}", level="medium")
                critical = happens(run)
            about = until(lambda: Alert.objects.filter(rule="alert route fails: hangs").first(), "no alert")
            until(lambda: not Delivery.objects.filter(route__name="well", state="waiting").exists())
        places = [n for n, key in enumerate(well.keys) if key.startswith(f"alert-{critical.pk}-")]
    assert len(places) == 1
    assert places[0] < PLACES, "it overtook the storm"
    assert sum(key.startswith(f"alert-{about.pk}-") for key in well.keys) == 1
    assert not about.deliveries.filter(route__name="hangs").exists()
    assert not Delivery.objects.filter(route__name="hangs", state="delivered").exists()
    assert len(well.keys) == len(set(well.keys)) == 102


@contextmanager
def dripping():
    """A receiver that goes on answering, byte by byte, until the block ends; yields who has asked."""
    over, asked, listening = threading.Event(), [], socket.create_server(("127.0.0.1", 0))

    def drip(client):
        asked.append(client)
        with client, suppress(OSError):
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not over.wait(0.05):
                client.sendall(b".")

    def serve():
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=listening.accept()[:1], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1], asked
    finally:
        over.set()
        listening.close()


def test_a_send_that_never_ends_is_given_up_and_its_place_is_free_again(monkeypatch):
    monkeypatch.setattr(posting, "SEND_LIMIT_S", 0.2)
    monkeypatch.setattr(posting, "STUCK_S", 0.2)
    run, post = a_run(), posting.Post("one")

    async def deliver(asked):
        running = asyncio.create_task(post.run())
        try:
            async with asyncio.timeout(LIMIT_S):
                while len(asked) <= PLACES:
                    await asyncio.sleep(0.02)
        finally:
            post._stop()
            await running
            await hang_up()

    with dripping() as (port, asked):
        monkeypatch.setenv("DRIPS", f"json://127.0.0.1:{port}/")
        route("drips")
        for number in range(PLACES + 1):
            happens(run, rule=f"rule {number}")
        asyncio.run(deliver(asked))
    assert post.given_up


def test_threads_that_hang_on_end_the_process_once_they_are_too_many(monkeypatch):
    monkeypatch.setattr(posting, "MOST_STUCK", PLACES)
    post = posting.Post("one")
    long_ago_s = time.monotonic() - 2 * posting.STUCK_S
    post.places[1] = posting.Places({(row, 1): long_ago_s for row in range(PLACES)})
    post._give_up_stuck()
    assert post.places[1].room().most == PLACES - 1
    post.places[1].begun[(PLACES, 1)] = long_ago_s
    with pytest.raises(SystemExit, match="5 sends have hung"):
        post._give_up_stuck()
