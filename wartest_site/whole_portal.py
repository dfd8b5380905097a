"""A whole portal of its own, every part a child of ours: for rehearsals that provoke, kill and freeze."""

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from django.contrib.auth.models import Group, User

from gates import roles
from gates.models import Beat
from gates.pulses import BEATING
from gates.role_names import ENGINEER
from gates.targets.processes import ProcessSpec
from wartest_site.benchmarks.premises import pointed_at
from wartest_site.embedded.children import CannotStartError, free_port
from wartest_site.embedded.postgres import PostgresServer, prepare_postgres
from wartest_site.embedded.valkey import prepare_valkey
from wartest_site.environment import BASE_DIR
from wartest_site.launch import (
    beat_process,
    delivery_process,
    streams_process,
    wait_for_web,
    web_process,
    worker_processes,
)
from wartest_site.supervisor import Child, Supervisor

PREPARED_LIMIT_S = 300
READY_LIMIT_S = 120.0
PERSON = "engineer"


@dataclass(frozen=True)
class WholePortal:
    """A running portal. `env` is what a process needs in order to join it; `password` lets `PERSON` sign in."""

    url: str
    env: dict[str, str]
    password: str
    server: PostgresServer
    supervisor: Supervisor

    def child(self, name: str) -> Child:
        """The part of this name: portal-postgres, valkey, web, ticker, worker, beat, streams or delivery."""
        return next(child for child in self.supervisor.children if child.spec.name == name)

    def processes(self, name: str) -> list[psutil.Process]:
        """All processes of a part, the one that we started first."""
        first = psutil.Process(self.child(name).process.pid)
        return [first, *first.children(recursive=True)]


@contextmanager
def whole_portal(home: Path, say: Callable[[str], None], env: dict[str, str]) -> Iterator[WholePortal]:
    """Start every part as `up` does, on free ports, and point the Django of this process there while the block runs.

    Nothing that the user has set or runs is touched: its settings are given one by one. `env` is added to them.
    Raises CannotStartError.
    """
    supervisor = Supervisor(logs=home / "log", cwd=BASE_DIR, say=say)
    port, settings = free_port(), _own_settings(home) | env
    try:
        server = _start_servers(home, supervisor, settings)
        prepared = [_manage(settings, "migrate", "--noinput", "--verbosity=0")]
        prepared.append(_manage(settings, "collectstatic", "--noinput", "--verbosity=0"))
        for spec, process in [(spec, supervisor.spawn_once(spec)) for spec in prepared]:
            supervisor.wait_for(spec, process, limit_s=PREPARED_LIMIT_S)
        web = supervisor.start(web_process(port, settings))
        parts = (*worker_processes(settings), beat_process(home, settings), streams_process(settings))
        for spec in (*parts, delivery_process(settings)):
            supervisor.start(spec)
        with pointed_at(settings["DATABASE_URL"]):
            password = _person()
            wait_for_web(f"127.0.0.1:{port}", web.alive, limit_s=READY_LIMIT_S)
            _await_pulses()
            yield WholePortal(f"http://127.0.0.1:{port}", settings, password, server, supervisor)
    finally:
        supervisor.stop()


def _own_settings(home: Path) -> dict[str, str]:
    """Every setting by which a portal could reach something else than its own."""
    return {
        "DJANGO_SETTINGS_MODULE": "wartest_site.settings",
        "WARTEST_HOME": str(home),
        "REPORTS_DIR": str(home / "reports"),
        "SECRET_KEY": secrets.token_urlsafe(50),
        "PUBLIC_URL": "",
        "ALLOWED_HOSTS": "127.0.0.1",
        "TICK_S": "1",
        "TRUSTED_PROXIES": "0",
        "DEBUG": "false",
    }


def _start_servers(home: Path, supervisor: Supervisor, settings: dict[str, str]) -> PostgresServer:
    """Start PostgreSQL and Valkey, and note in the settings where they are."""
    server = prepare_postgres(home / "portal-postgres", port=free_port())
    child = supervisor.start(server.process("portal-postgres"), foundation=True)
    valkey = prepare_valkey(home / "valkey", port=free_port())
    beside = supervisor.start(valkey.process("valkey"), foundation=True)
    server.wait_ready(alive=child.alive)
    valkey.wait_ready(alive=beside.alive)
    settings["DATABASE_URL"] = server.create_database("wartest")
    settings["REDIS_URL"] = settings["BROKER_URL"] = valkey.url()
    return server


def _manage(settings: dict[str, str], command: str, *arguments: str) -> ProcessSpec:
    return ProcessSpec(command, (sys.executable, str(BASE_DIR / "manage.py"), command, *arguments), dict(settings))


def _person() -> str:
    """An engineer who may sign in; the password is kept nowhere."""
    roles.make_groups()
    password = secrets.token_urlsafe(12)
    person = User.objects.create_superuser(PERSON, password=password)
    person.groups.add(Group.objects.get(name=ENGINEER))
    return password


def _await_pulses() -> None:
    """Wait until every part has shown that it lives."""
    ends = time.monotonic() + READY_LIMIT_S
    while (silent := set(BEATING) - set(Beat.objects.values_list("kind", flat=True))) and time.monotonic() < ends:
        time.sleep(0.2)
    if silent:
        raise CannotStartError(f"The portal's {', '.join(sorted(silent))} showed no pulse in time")
