"""A whole portal whose parts are killed and frozen while events storm in: nothing is lost, and each part is named."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial

import httpx
import psutil
import pytest
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Sum
from django.utils import timezone

from gates import pulses
from gates.alerts.provoking import books
from gates.alerts.provoking.provocations import PROVOCATIONS
from gates.models import Alert, Beat, Delivery, Route
from tests.wartest_site import storming
from wartest_site.alert_rehearsal import rehearse, scene
from wartest_site.benchmarks.receivers import web_receiver
from wartest_site.environment import BASE_DIR
from wartest_site.signed_in import inbox

LIMIT_S = 200
CHILDREN = {"postgres": "portal-postgres", "tick": "ticker"}  # where a part's process has another name
KILLED_AT_ONCE = (("beat", "streams", "delivery", "web"), ("tick", "worker"), ("valkey",), ("postgres",))
OUTLIVE = ("streams", "delivery", "web")
STORM = [sys.executable, "-m", "tests.wartest_site.storming"]
WATCH = [sys.executable, "manage.py", "watch", "--limit-s", "4", "--every-s", "0.3"]


@pytest.fixture(scope="module")
def on(django_db_blocker):
    with django_db_blocker.unblock(), scene(print) as scene_:
        yield scene_


def until(true, what, on):
    """Await it, while whoever died is started again, as `up` does."""
    ends = time.monotonic() + LIMIT_S
    while True:
        on.portal.supervisor.revive(time.monotonic())
        try:
            if found := true():
                return found
        except (DatabaseError, InterfaceError, httpx.HTTPError):
            connection.close()  # one that was cut is opened again
        assert time.monotonic() < ends, what
        time.sleep(0.05)


def test_what_is_provoked_is_on_the_inbox_and_at_both_receivers_and_resolved_by_a_clean_look(on):
    (cent,) = (each for each in PROVOCATIONS if each.begin is books.cent_too_much)
    (rows,) = rehearse(on, [cent], print)
    assert {row.rule for row in rows} == set(cent.raises)
    for row in rows:
        assert (row.troubles, row.listed, row.alerts) == ([], True, 1)
        assert None not in (row.raised_ms, row.web_ms, row.mail_ms)
        assert row.recheck


@contextmanager
def storm(on):
    """Events without end while the block runs; yields a dictionary that holds at last how many were raised."""
    told = {}
    process = subprocess.Popen(STORM, cwd=BASE_DIR, env=os.environ | on.portal.env, stdout=subprocess.PIPE, text=True)
    try:
        stormy = Alert.objects.filter(rule__startswith="storm ")
        until(stormy.exists, "the storm does not begin", on)
        yield told
        process.terminate()
        told |= json.loads(process.communicate(timeout=LIMIT_S)[0])
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def watched(on, route, switch):
    """`manage.py watch` beside the portal while the block runs."""
    env = os.environ | on.portal.env
    env |= {"WATCH_ROUTE": f"json://127.0.0.1:{route.port}/", "WATCH_PING": f"http://127.0.0.1:{switch.port}/"}
    watch = subprocess.Popen([*WATCH, "--web", on.portal.url], cwd=BASE_DIR, env=env)
    try:
        until(lambda: switch.asked, "the parts were never all well", on)
        yield
    finally:
        watch.terminate()
        watch.wait(10)


def processes_of(on, kind):
    return on.portal.processes(CHILDREN.get(kind, kind))


@contextmanager
def frozen(processes):
    """SIGSTOP to each, SIGCONT at the end; a session of PostgreSQL may have ended since they were listed."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def are_killed_and_come_back(on, kinds):
    """They are started again, and what stands outside Celery outlives it; a worker may end with its Valkey, and begins
    anew."""
    others = {on.portal.child(kind).process.pid for kind in OUTLIVE if kind not in kinds}
    killed_at = timezone.now()
    for kind in kinds:
        processes_of(on, kind)[0].kill()
    young = Beat.objects.filter(kind__in=pulses.BEATING, last_at__gt=killed_at + timedelta(seconds=1))

    def back():
        alive = all(child.alive() for child in on.portal.supervisor.children)
        return alive and young.count() == len(pulses.BEATING) and on.reader.get("/healthz").status_code

    until(back, f"{kinds} did not come back", on)
    assert others <= {child.process.pid for child in on.portal.supervisor.children}, "somebody died of it"


def is_frozen_named_and_comes_back(on, part, route, switch):
    before, alarm = len(route.keys), f"watch-{part.kind}-"

    def told():
        return [key for key in route.keys[before:] if key.startswith(alarm)]

    with frozen(processes_of(on, part.kind)):
        until(told, f"{part.name} was not named", on)
        asked = switch.asked
    until(lambda: told()[-1].endswith("-well"), f"{part.name} did not come back", on)
    until(lambda: switch.asked > asked, "the outer switch was not told again", on)


def each_has_come(route, receiver):
    """Each message that was cut is there, whatever it took, and none that was not cut."""
    return set(Delivery.objects.filter(route=route).values_list("key", flat=True)) == set(receiver.keys)


def test_in_a_storm_no_event_and_no_message_is_lost_whoever_is_killed_or_frozen_and_each_is_named(on):
    with web_receiver() as route, web_receiver() as switch, watched(on, route, switch), storm(on) as told:
        for kinds in KILLED_AT_ONCE:
            are_killed_and_come_back(on, kinds)
        for part in pulses.TABLE:
            is_frozen_named_and_comes_back(on, part, route, switch)
    assert {kind for kinds in KILLED_AT_ONCE for kind in kinds} == {part.kind for part in pulses.TABLE}
    assert told["raised"] >= storming.RULES

    counted = Alert.objects.filter(rule__startswith="storm ").aggregate(events=Sum("count"))["events"]
    assert told["raised"] <= counted <= told["raised"] + told["doubtful"]

    for name, receiver in (("web", on.web), ("mail", on.mail)):
        way = Route.objects.get(name=name)
        until(partial(each_has_come, way, receiver), f"not each message by {name} has come, or one too many", on)
    shown = inbox(on.reader)
    assert {int(key.split("-")[1]) for key in on.web.keys} <= set(shown), "what was delivered stands on the inbox"


def test_what_happens_while_the_streams_are_dead_is_raised_once_they_are_back(on):
    alerts = Alert.objects.filter(run=on.place.run, rule="event replay failure")
    processes_of(on, "streams")[0].kill()
    with books.profit_without_event(on.place) as did:  # nobody is started again before we wait
        alert = until(alerts.first, "it was never raised", on)
    assert alert.cause["position_id"] == did["position"]
