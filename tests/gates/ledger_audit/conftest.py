"""A state folder of the test's own, and a target with clean books."""

import pytest
from django.db import connection

from gates.ledger_audit import lease
from tests.audits.books import clean_books
from tests.gates.ledger_audit.auditable import auditable


@pytest.fixture
def home(settings, tmp_path, monkeypatch):
    """Where snapshots and reports go, also for the processes that the test starts."""
    folders = {"wartest_home": tmp_path, "reports_dir": tmp_path / "reports"}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=folders)
    monkeypatch.setenv("WARTEST_HOME", str(tmp_path))
    place = connection.settings_dict
    where = f"{place['USER']}:{place['PASSWORD']}@{place['HOST']}:{place['PORT']}/{place['NAME']}"
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{where}")
    return tmp_path


@pytest.fixture
def one_connection(monkeypatch):
    """The thread that renews a lease has a connection of its own, which would not see a test's open transaction."""
    monkeypatch.setattr(lease, "RENEW_S", 600.0)


@pytest.fixture
def desk(postgres_server):
    with auditable(clean_books(), postgres_server) as ready:
        yield ready
