"""Finding the running stack, and starting one for a command that needs it."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from gates.targets.processes import ProcessSpec
from wartest_site.embedded.children import (
    CannotStartError,
    free_port,
    last_lines,
    start_child,
    stop_child,
    write_private,
)
from wartest_site.embedded.postgres import running_postgres
from wartest_site.environment import BASE_DIR, load
from wartest_site.premises import check_home

SERVICES_FILE = "services.json"
READY_LIMIT_S = 240.0
STOP_LIMIT_S = 60.0


@dataclass(frozen=True)
class Services:
    """A running stack: who runs it, where it is, and what a process needs in its environment to join it."""

    pid: int
    created: float
    url: str
    env: dict[str, str]


def write_services(home: Path, services: Services) -> None:
    write_private(home / SERVICES_FILE, json.dumps(asdict(services), indent=1))


def running_stack(home: Path) -> Services | None:
    """Return the stack that runs in `home`, or None: a file left by a killed one does not count."""
    try:
        services = Services(**json.loads((home / SERVICES_FILE).read_text()))
        alive = psutil.Process(services.pid).create_time() == services.created
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return services if alive else None


@contextmanager
def sole_owner(home: Path) -> Iterator[None]:
    """Hold the lock of `home`. Raises CannotStartError when another stack runs there.

    The kernel frees the lock when its holder dies, however it dies, so there is no stale one.
    """
    with (home / "up.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            services = running_stack(home)
            if services is None:
                said = f"wartest is just starting or ending in {home}: try again once that is done, or set WARTEST_HOME"
            else:
                said = f"wartest is already running in {home} at {services.url}: stop it, or set WARTEST_HOME"
            raise CannotStartError(said) from None
        yield


def adopt_environment() -> None:
    """Before settings are read: join the running stack, unless the user says where his servers are."""
    environment = load()
    services = running_stack(environment.wartest_home)
    if services is None:
        return
    given = {name.upper() for name in environment.model_fields_set} | set(os.environ)
    os.environ.update({name: value for name, value in services.env.items() if name not in given})


@contextmanager
def background_stack() -> Iterator[Services]:
    """The running stack, or one of our own for as long as the block runs. Raises CannotStartError."""
    home = load().wartest_home.resolve()
    services = running_stack(home)
    if services is not None:
        _point_at(services)
        yield services
        return
    check_home(home)
    log_file = home / "log" / "up.log"
    log_file.parent.mkdir(exist_ok=True)
    write_private(log_file, "")  # private: the first user's password passes through it
    argv = (sys.executable, str(BASE_DIR / "manage.py"), "up", "--no-campaign", "--port", str(free_port()))
    spec = ProcessSpec(name="up", argv=argv)
    with log_file.open("ab") as log:
        process = start_child(spec, log=log, cwd=BASE_DIR)
    try:
        services = _wait_for_stack(home, process, log_file)
        _show_sign_in(services, log_file)
        _point_at(services)
        yield services
    finally:
        stop_child(process, spec.stop_signal, limit_s=STOP_LIMIT_S)


@contextmanager
def portal_database() -> Iterator[str]:
    """Django pointed at the portal's database: the running stack's, the one that is given, or else the embedded one,
    which is started for as long as the block runs. Yields the running portal's address, empty where none runs.

    Raises CannotStartError.
    """
    environment = load()
    home = environment.wartest_home.resolve()
    services = running_stack(home)
    if services is not None:
        _point_at(services)
        yield services.url
    elif "database_url" in environment.model_fields_set:
        yield ""
    else:
        check_home(home)
        with sole_owner(home), running_postgres(home / "portal-postgres") as server:
            env = {"DATABASE_URL": server.create_database("wartest")}
            _point_at(Services(pid=os.getpid(), created=0.0, url="", env=env))
            call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
            try:
                yield ""
            finally:
                connections["default"].close()


def _wait_for_stack(home: Path, process: subprocess.Popen[bytes], log_file: Path) -> Services:
    deadline = time.monotonic() + READY_LIMIT_S
    while (services := running_stack(home)) is None:
        if process.poll() is not None:
            raise CannotStartError(last_lines(log_file, count=1))
        if time.monotonic() > deadline:
            raise CannotStartError(f"The stack was not ready within {READY_LIMIT_S:.0f} s: see {log_file}")
        time.sleep(0.1)
    return services


def _show_sign_in(services: Services, log_file: Path) -> None:
    """Say where the portal is, and pass on the first user's password: it is shown once and kept nowhere."""
    lines = log_file.read_text(errors="replace").splitlines()
    for line in [line for line in lines if "Sign in as" in line]:
        sys.stderr.write(f"{line[line.index('Sign in as') :]}\n")
    sys.stderr.write(f"Live at {services.url}\n")
    os.truncate(log_file, 0)


def _point_at(services: Services) -> None:
    """Point the Django that is already set up in this process at the stack's servers."""
    os.environ.update({name: value for name, value in services.env.items() if name not in os.environ})
    place: dict[str, Any] = settings_of_database(os.environ["DATABASE_URL"])
    settings.DATABASES["default"].update(place)
    connection = connections["default"]
    connection.close()
    connection.settings_dict.update(place)


def settings_of_database(url: str) -> dict[str, Any]:
    """The parts of Django's database settings that say where it is."""
    parts = urlsplit(url)
    return {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
    }
