"""The whole stack, as a user starts it: one sequence, since each start costs seconds."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pytest

from wartest_site.embedded.children import free_port
from wartest_site.stack import running_stack

ROOT = Path(__file__).parents[2]
READY_LIMIT_S = 400


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def manage(home):
    """Start a command of ours with `home` as its state; kill at the end whatever still runs there."""
    unset = {"DATABASE_URL", "REDIS_URL", "WARTEST_REHEARSAL_JSON"}
    env = {key: value for key, value in os.environ.items() if key not in unset} | {"WARTEST_HOME": str(home)}
    started = []

    def start(*arguments: str) -> subprocess.Popen:
        argv = [sys.executable, "manage.py", *arguments]
        process = subprocess.Popen(argv, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        kill_family(process.pid)
        process.communicate(timeout=10)


def family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_family(pid: int) -> None:
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def gone(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def until_ready(process: subprocess.Popen, home: Path):
    deadline = time.monotonic() + READY_LIMIT_S
    while (services := running_stack(home)) is None:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "the stack was not ready in time"
        time.sleep(0.1)
    return services


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def test_up_survives_a_kill_refuses_a_second_one_and_ends_everything(manage, home):
    port = str(free_port())
    first = manage("up", "--no-campaign", "--port", port)
    services = until_ready(first, home)
    with psycopg.connect(services.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    second = manage("up", "--port", str(free_port()))
    assert second.wait(30) == 2
    said = second.stderr.read().strip().splitlines()[-1]
    assert said.startswith(f"wartest is already running in {home} at http://127.0.0.1:{port}/")

    killed = family(first.pid)
    assert len(killed) > 10, "servers, target, web, workers and beat"
    kill_family(first.pid)
    first.wait(10)
    assert running_stack(home) is None, "a file left by a killed stack does not count"

    third = manage("up", "--no-campaign", "--port", port)
    again = until_ready(third, home)
    assert answers(again.url)
    assert again.env == services.env, "ports and secrets stay what they were"
    with psycopg.connect(again.env["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    server = "SELECT system_identifier FROM pg_control_system()"
    identities = set()
    for url in (again.env["DATABASE_URL"], again.env["WARTEST_REHEARSAL_LEDGER_URL"]):
        with psycopg.connect(url) as connection:
            identities.add(connection.execute(server).fetchone())
    assert len(identities) == 2, "portal and target never share a server"

    everyone = family(third.pid)
    third.send_signal(signal.SIGINT)
    third.send_signal(signal.SIGINT)  # an impatient second Ctrl-C changes nothing
    out, _ = third.communicate(timeout=60)
    assert third.returncode == 0
    assert out.splitlines()[-1].endswith("stopped; nothing is lost")
    assert all(gone(process) for process in everyone)
    assert running_stack(home) is None
