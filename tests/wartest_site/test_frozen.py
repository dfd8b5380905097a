"""A part of the portal that is frozen, neither dead nor alive, is named by the watcher, and so is its coming back."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil
import pytest

from gates import pulses
from wartest_site.benchmarks.premises import own_portal
from wartest_site.benchmarks.receivers import web_receiver
from wartest_site.environment import BASE_DIR
from wartest_site.launch import beat_process, delivery_process, streams_process, worker_processes
from wartest_site.supervisor import Supervisor

LIMIT_S = 200
KINDS = {"ticker": "tick"}  # the pulse of a process, where its name is another


@pytest.fixture(scope="module")
def portal(django_db_blocker):
    """A portal of our own with all its processes but the web; yields the pid of each part, and how to join it."""
    with django_db_blocker.unblock(), own_portal() as portal:
        supervisor = Supervisor(logs=portal.home / "log", cwd=BASE_DIR, say=print)
        try:
            specs = [beat_process(portal.home, portal.env), streams_process(portal.env), delivery_process(portal.env)]
            children = [supervisor.start(spec) for spec in (*worker_processes(portal.env), *specs)]
            pids = {KINDS.get(child.spec.name, child.spec.name): child.process.pid for child in children}
            pids["postgres"] = int((portal.server.data / "postmaster.pid").read_text().split()[0])
            place = f":{urlsplit(portal.env['REDIS_URL']).port}"  # it shows its address as its name
            found = [each.pid for each in psutil.Process().children() if place in " ".join(each.cmdline())]
            (pids["valkey"],) = found
            yield portal, pids
        finally:
            supervisor.stop()


@contextmanager
def frozen(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def until(true, what, said):
    ends = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < ends, f"{what}: {said.read_text()[-1500:]}"
        time.sleep(0.05)


def is_named_and_comes_back(part, pid, route, switch, said):
    before, alarm = len(route.keys), f"watch-{part.kind}-"

    def told():
        return [key for key in route.keys[before:] if key.startswith(alarm)]

    with frozen(pid):
        until(told, f"{part.name} was not named", said)
        asked = switch.asked
    until(lambda: told()[-1].endswith("-well"), f"{part.name} did not come back", said)
    until(lambda: switch.asked > asked, "the outer switch was not told again", said)


def test_each_part_that_is_frozen_is_named_and_so_is_its_return(portal, tmp_path):
    (portal, pids), said = portal, tmp_path / "watch.log"
    assert set(pids) == {part.kind for part in pulses.TABLE}
    with web_receiver() as route, web_receiver() as switch:
        env = os.environ | portal.env
        env |= {"WATCH_ROUTE": f"json://127.0.0.1:{route.port}/", "WATCH_PING": f"http://127.0.0.1:{switch.port}/"}
        argv = [sys.executable, "manage.py", "watch", "--limit-s", "5", "--every-s", "0.3"]
        with said.open("w") as log:
            watch = subprocess.Popen(argv, cwd=BASE_DIR, env=env, stderr=log)
        try:
            until(lambda: switch.asked, "the parts were never all well", said)
            for part in pulses.TABLE:
                is_named_and_comes_back(part, pids[part.kind], route, switch, said)
        finally:
            watch.terminate()
            watch.wait(10)
