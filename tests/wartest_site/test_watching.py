"""preflight and watch, on rows."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from gates.models import Beat, Target
from wartest_site import preflight
from wartest_site.management.commands.watch import tick_trouble
from wartest_site.preflight import needs
from wartest_site.stack import Services

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def tick(at: datetime) -> None:
    Beat.objects.update_or_create(kind="tick", defaults={"last_at": at})


@pytest.fixture
def services():
    return Services(pid=1, created=0.0, url="http://127.0.0.1:1/", env={})


@pytest.fixture
def seen(tmp_path, services, monkeypatch, settings, valkey_server):
    def look() -> dict[str, preflight.Need]:
        return {need.name: need for need in needs(tmp_path, port=0, services=services)}

    monkeypatch.setattr(settings.ENVIRONMENT, "redis_url", type(settings.ENVIRONMENT.redis_url)(valkey_server.url()))
    return look


@pytest.mark.django_db
def test_a_running_portal_meets_every_need(seen):
    tick(datetime.now(UTC))
    found = seen()
    assert [need for need in found.values() if not need.met] == []
    assert list(found) == [
        "python",
        "state directory and disk",
        "port",
        "postgres",
        "migrations",
        "valkey",
        "signing key",
        "worker",
    ]


@pytest.mark.django_db
def test_a_worker_that_never_ticked_or_ticks_no_more_is_said(seen):
    assert "no tick yet" in seen()["worker"].words
    tick(datetime.now(UTC) - timedelta(minutes=5))
    worker = seen()["worker"]
    assert not worker.met
    assert worker.words.startswith("last tick 300 s ago, at most 15 s")


@pytest.mark.django_db
def test_a_target_on_the_portals_own_server_is_refused_under_any_address(seen, postgres_server):
    url = postgres_server.create_database("desk_on_the_wrong_server").replace("127.0.0.1", "localhost")
    spec = {
        "ledger": {"url": url, "schema": "wartest"},
        "broker": {"url": "http://127.0.0.1:1", "account": "a", "token": "t"},
        "process": {"health": "http://127.0.0.1:1/health"},
    }
    Target.objects.create(name="close", spec=spec, created_at=NOW)
    target = seen()["target close"]
    assert not target.met
    assert "portal's own PostgreSQL server" in target.words


@pytest.mark.django_db
def test_a_target_that_cannot_be_reached_is_said(seen):
    spec = {
        "ledger": {"url": "postgresql://x@127.0.0.1:1/x?connect_timeout=2", "schema": "wartest"},
        "broker": {"url": "http://127.0.0.1:1", "account": "a", "token": "t"},
        "process": {"health": "http://127.0.0.1:1/health"},
    }
    Target.objects.create(name="away", spec=spec, created_at=NOW)
    Target.objects.create(name="empty", spec={}, created_at=NOW)
    found = seen()
    assert "its ledger does not answer" in found["target away"].words
    assert "description lacks" in found["target empty"].words
    assert not found["target away"].met
    assert not found["target empty"].met


@pytest.mark.django_db
def test_a_valkey_that_is_down_is_said(seen, monkeypatch, settings):
    secret = type(settings.ENVIRONMENT.redis_url)
    monkeypatch.setattr(settings.ENVIRONMENT, "redis_url", secret("redis://:hidden@127.0.0.1:1/0"))
    valkey = seen()["valkey"]
    assert not valkey.met
    assert valkey.words.endswith("see REDIS_URL")
    assert "hidden" not in valkey.words


def test_before_anything_runs_only_what_up_needs_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    found = {need.name: need for need in needs(tmp_path, port=0, services=None)}
    assert all(need.met for need in found.values())
    assert "started by `up`" in found["postgres"].words


@pytest.mark.django_db
def test_watch_is_content_with_a_young_tick_only():
    assert tick_trouble(NOW, 60) == "There was never a tick: start the portal with `uv run manage.py up`."
    tick(NOW - timedelta(seconds=59))
    assert tick_trouble(NOW, 60) is None
    tick(NOW - timedelta(seconds=61))
    assert "is 61 s old, at most 60 s" in (tick_trouble(NOW, 60) or "")


@pytest.mark.django_db
def test_watch_exits_1_when_the_tick_is_old_and_0_when_young():
    tick(datetime.now(UTC))
    call_command("watch", "--once")
    tick(datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(SystemExit) as ended:
        call_command("watch", "--once")
    assert ended.value.code == 1


@pytest.mark.parametrize("wrong", [["--ping", "file:///etc/passwd"], ["--limit-s", "0"], ["--every-s=-1"]])
def test_watch_refuses_what_makes_no_sense(wrong):
    with pytest.raises(CommandError):
        call_command("watch", "--once", *wrong)
