"""An engine, a Celery worker or a proxy dies in mid-strike: nothing is left, and the strike is made again."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import psutil
from celery import Celery
from django.utils import timezone

from gates.chaos.engine import starting
from gates.models import CrashPoint, Heal
from tests.gates.chaos.engine.engines import (
    LIMIT_S,
    cell_databases,
    children_of,
    database_url,
    engine_of,
    engines_of,
    finished,
    until,
    words_of,
)
from tests.gates.chaos.runs import REPLAY, started


def test_a_killed_engine_is_healed_at_once_and_its_work_is_done_by_the_next(desk_target, postgres_server, monkeypatch):
    """Ticks alone start the first engine, heal what it leaves when it is killed, and start the next one."""
    monkeypatch.setenv("DATABASE_URL", database_url())
    run = started(desk_target, REPLAY)
    starting.attend(timezone.now())
    starting.attend(timezone.now())  # a second tick finds the lease taken
    heal = until(lambda: Heal.objects.filter(healed_at=None).first())
    (engine,) = engines_of(run)
    family = engine.children(recursive=True)
    engine.kill()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
    assert engine.status() == psutil.STATUS_ZOMBIE  # dead, and its parent, which is us, has not been told
    starting.attend(timezone.now())
    heal.refresh_from_db()
    assert heal.healed_at is not None
    assert heal.what["database"] not in cell_databases(postgres_server)
    until(lambda: finished(run))
    assert set(CrashPoint.objects.values_list("verdict", flat=True)) == {"passed"}
    until(lambda: not engines_of(run))
    assert cell_databases(postgres_server) == []


@contextmanager
def celery_worker(name, broker_url):
    """A worker of ticks as `up` starts it, with all that it starts in one group of processes, which ends with it."""
    env = os.environ | {"DATABASE_URL": database_url(), "REDIS_URL": broker_url}
    words = ("-m", "celery", "-A", "wartest_site", "worker", "-n", f"{name}@%h", "-Q", "tick", "-c", "1")
    worker = subprocess.Popen((sys.executable, *words, "--loglevel=WARNING"), env=env, start_new_session=True)
    try:
        yield psutil.Process(worker.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(30)


def in_mid_strike(worker, run):
    """The heal of a strike that the worker's engine is making, with that engine stopped, so that it stays there."""
    for process in children_of(worker.pid):
        if words_of(process)[-2:] == ["gates.chaos", str(run.pk)]:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                if heal := Heal.objects.filter(healed_at=None).first():
                    return heal
                process.resume()
    return None


def test_a_strike_of_a_killed_celery_worker_is_healed_by_the_next_worker_and_made_again(
    desk_target, postgres_server, valkey_server
):
    """SIGKILL takes the worker, its pool and its engine at once, as the end of a container does."""
    broker_url = f"{valkey_server.url().rpartition('/')[0]}/7"
    run = started(desk_target, REPLAY, cells=1)

    with Celery(broker=broker_url) as sender:

        def ticked(condition):
            sender.send_task("gates.tasks.tick", queue="tick", expires=5)
            time.sleep(0.5)
            return condition()

        with celery_worker("first", broker_url) as first:
            heal = until(lambda: ticked(lambda: in_mid_strike(first, run)))
            family = [first, *children_of(first.pid)]
            os.killpg(first.pid, signal.SIGKILL)
            psutil.wait_procs(family, timeout=30)
            assert [process for process in family if process.is_running() and process.status() != "zombie"] == []
        with celery_worker("second", broker_url) as second:
            until(lambda: ticked(lambda: Heal.objects.filter(pk=heal.pk, healed_at__isnull=False).exists()))
            heal.refresh_from_db()
            assert int(heal.healed_by.rpartition(":")[2]) in {child.pid for child in children_of(second.pid)}
            assert heal.what["database"] not in cell_databases(postgres_server)
            until(lambda: ticked(lambda: finished(run)))
            until(lambda: not cell_databases(postgres_server))
    assert set(CrashPoint.objects.values_list("verdict", flat=True)) == {"passed"}
    assert CrashPoint.objects.get(pk=heal.crash_point_id).attempt == heal.attempt + 1
    assert not Heal.objects.filter(healed_at=None).exists()


def test_a_killed_proxy_costs_an_attempt_and_the_point_is_struck_again(desk_target):
    run = started(desk_target, REPLAY, cells=1)
    engine = engine_of(run)
    until(lambda: CrashPoint.objects.filter(phase__in=("armed", "recovering")).first())
    proxies = [child for child in children_of(engine.pid) if "gates.chaos.proxies.postgres" in words_of(child)]
    proxies[0].kill()
    assert engine.wait(LIMIT_S) == 0
    assert set(CrashPoint.objects.values_list("verdict", flat=True)) == {"passed"}
    assert CrashPoint.objects.filter(attempt__gt=1).exists()
