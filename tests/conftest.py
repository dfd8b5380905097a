"""Servers shared by the whole session: real ones, started when a test first asks."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, connections
from hypothesis import HealthCheck
from hypothesis import settings as examples

from wartest_site.embedded.postgres import SUPERUSER, PostgresServer, running_postgres
from wartest_site.embedded.valkey import ValkeyServer, running_valkey

# A slow machine is no finding: what an example takes is measured by the benchmarks.
examples.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _folders_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test writes into the portal's own folders, nor signs with its key."""
    place = tmp_path_factory.mktemp("portal")
    folders = {"wartest_home": place / "home", "reports_dir": place / "reports"}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=folders)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """`.url(database)` and `.create_database(name) -> url`. Not durable: it dies with the session anyway."""
    with (
        tempfile.TemporaryDirectory(prefix="wartest-pg-") as home,
        running_postgres(Path(home), durable=False) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    with (
        tempfile.TemporaryDirectory(prefix="wartest-valkey-") as home,
        running_valkey(Path(home)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres_server: PostgresServer) -> None:
    """Django's test database lives on the session's own server, whatever DATABASE_URL says."""
    place = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "wartest",
        "HOST": "127.0.0.1",
        "PORT": str(postgres_server.port),
        "USER": SUPERUSER,
        "PASSWORD": postgres_server.password,
    }
    settings.DATABASES["default"].update(place)
    connections["default"].settings_dict.update(place)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest.FixtureDef) -> None:
    """Tests with transactions of their own end by emptying all tables, which some tables refuse in a portal."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgtype::integer & 32 <> 0")
        for table, name in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {table} DISABLE TRIGGER "{name}"')
