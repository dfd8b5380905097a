"""Engines as processes of their own, and what of theirs is running."""

import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import psycopg
from django.conf import settings

LIMIT_S = 900


def database_url():
    place = settings.DATABASES["default"]
    return f"postgresql://{place['USER']}:{place['PASSWORD']}@{place['HOST']}:{place['PORT']}/{place['NAME']}"


def engine_of(run, program=("-m", "gates.chaos")):
    """The engine as a tick starts it, on the test's database."""
    return process_of(*program, str(run.pk))


def process_of(*words, **streams):
    """A process of ours, on the test's database."""
    env = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "wartest_site.settings"}
    return subprocess.Popen((sys.executable, *words), env=env, **streams)


def until(condition, limit_s=LIMIT_S):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"not within {limit_s} s")


def cell_databases(postgres_server):
    with psycopg.connect(postgres_server.url()) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'wartest_cell_%'").fetchall()
    return [name for (name,) in found]


def children_of(pid):
    return psutil.Process(pid).children(recursive=True)


def words_of(process):
    """Its command line; of one that has ended since it was listed there is none."""
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def engines_of(run):
    """The engines that ticks of this process have started and that still run."""
    return [child for child in psutil.Process().children() if words_of(child)[-2:] == ["gates.chaos", str(run.pk)]]


def finished(run):
    return not run.scenarios.exclude(phase="done").exists()
