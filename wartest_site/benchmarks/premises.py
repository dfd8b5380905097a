"""Servers of a benchmark's own: a PostgreSQL and a Valkey that end with it, and Django pointed at them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connections

from wartest_site.embedded.children import CannotStartError
from wartest_site.embedded.postgres import PostgresServer, running_postgres
from wartest_site.embedded.valkey import running_valkey
from wartest_site.environment import BASE_DIR
from wartest_site.stack import settings_of_database

MANAGE_LIMIT_S = 180


@dataclass(frozen=True)
class Portal:
    """A portal without processes: migrated and empty. `env` is what a process needs in order to join it."""

    home: Path
    server: PostgresServer
    env: dict[str, str]

    def manage(self, *arguments: str) -> None:
        """Run a command of ours in it. Raises CannotStartError with the last line it said."""
        done = subprocess.run(  # noqa: S603 - argv is ours
            [sys.executable, str(BASE_DIR / "manage.py"), *arguments],
            env=os.environ | self.env,
            capture_output=True,
            text=True,
            timeout=MANAGE_LIMIT_S,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it said nothing"]
            raise CannotStartError(f"manage.py {arguments[0]} failed: {said[-1]}")


@contextmanager
def own_portal() -> Iterator[Portal]:
    """An empty portal on a durable server, as in production, for as long as the block runs."""
    with (
        tempfile.TemporaryDirectory(prefix="wartest-bench-") as folder,
        running_postgres(Path(folder) / "postgres") as server,
        running_valkey(Path(folder) / "valkey") as valkey,
    ):
        home = Path(folder) / "home"
        home.mkdir()
        env = {
            "DJANGO_SETTINGS_MODULE": "wartest_site.settings",
            "WARTEST_HOME": str(home),
            "DATABASE_URL": server.create_database("wartest"),
            "REDIS_URL": valkey.url(),
            "SECRET_KEY": settings.SECRET_KEY,  # a session made here is known there
        }
        portal = Portal(home, server, env)
        portal.manage("migrate", "--noinput", "--verbosity=0")
        with pointed_at(env["DATABASE_URL"]):
            yield portal


@contextmanager
def pointed_at(url: str) -> Iterator[None]:
    """Let the Django of this process read and write there, and nowhere else, while the block runs."""
    connection = connections["default"]
    before = dict(connection.settings_dict)
    connection.close()
    place = settings_of_database(url)
    settings.DATABASES["default"].update(place)
    connection.settings_dict.update(place)
    try:
        yield
    finally:
        connection.close()
        settings.DATABASES["default"].update(before)
        connection.settings_dict.update(before)
