"""preflight and watch, on rows."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from gates import engine, pulses
from gates.models import Beat, Target
from wartest_site import preflight, watching
from wartest_site.benchmarks.receivers import web_receiver
from wartest_site.preflight import needs
from wartest_site.stack import Services
from wartest_site.watching import Alarms, ping

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
    assert [need.name for need in found.values() if need.met is False] == []
    assert found["critical alerts"].met is None, "the portal works, and nobody who is away hears of an alert"
    assert list(found) == [
        "python",
        "state directory and disk",
        "port",
        "postgres",
        "migrations",
        "valkey",
        "signing key",
        "worker",
        "critical alerts",
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


@pytest.fixture
def valkey(settings, valkey_server):
    secret = type(settings.ENVIRONMENT.redis_url)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"redis_url": secret(valkey_server.url())})


@pytest.mark.django_db
def test_watch_exits_0_when_all_is_well_and_1_naming_what_has_stopped(valkey, capsys):
    for kind in pulses.BEATING:
        engine.beat(kind, datetime.now(UTC))
    with pytest.raises(SystemExit) as ended:
        call_command("watch", "--once", "--limit-s", "60")
    assert ended.value.code == 0
    engine.beat("streams", datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(SystemExit) as ended:
        call_command("watch", "--once")
    assert ended.value.code == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said == "The process that holds the streams has shown no pulse for 3600 s: is it stopped? See streams.log."


ages = st.none() | st.floats(-5, 100)


@given(st.fixed_dictionaries({part.kind: ages for part in pulses.TABLE}))
def test_what_has_stopped_is_named_unless_it_stands_on_something_that_has(found):
    parts = {part.kind: part for part in pulses.TABLE}
    old = {kind for kind, age_s in found.items() if age_s is None or age_s > 10 * parts[kind].patience}
    stopped = {each.part.kind for each in pulses.judge(found, 10.0)}
    assert stopped <= old, "what is young is not accused"
    assert bool(stopped) == bool(old), "what is old does not pass"
    assert not any(old.intersection(parts[kind].stands_on) for kind in stopped)


def test_an_alarm_is_sent_once_again_after_a_while_and_once_more_when_all_is_well(monkeypatch):
    said, well = [], ()
    with web_receiver() as web:
        monkeypatch.setenv("WATCH_ROUTE", f"json://127.0.0.1:{web.port}/")
        alarms = Alarms("named", said.append)
        beat = pulses.judge({part.kind: None if part.kind == "beat" else 0.0 for part in pulses.TABLE}, 10.0)
        for now_s in (0, 2, 4, 6):
            alarms.hear(beat, now_s)
        assert len(web.keys) == 1, "not at the first look, and once"
        alarms.hear(beat, 1000)
        assert web.keys[0] == web.keys[1], "the same alarm, by its key"
        alarms.hear(well, 1002)
        alarms.hear(well, 1004)
    assert web.keys[2:] == [f"{web.keys[0]}-well"]
    assert "beat, which sends the ticks, has shown no pulse yet" in web.received[0].text.lower()
    assert "Well again: beat" in web.received[2].text


def test_a_part_that_stands_on_one_that_has_stopped_is_well_again_only_once_both_are():
    said, well = [], dict.fromkeys((part.kind for part in pulses.TABLE), 0.0)
    alarms = Alarms("", said.append)

    def heard(*looks):
        said.clear()
        for ages in looks:
            alarms.hear(pulses.judge(ages, 10.0), 0.0)
        return [sentence.split(",")[0] for sentence in said]

    frozen = well | {"streams": 40.0, "tick": 40.0, "worker": 40.0}
    assert len(heard(frozen, frozen)) == 2
    assert heard(well | {"postgres": None}) == [], "nothing is known of either"
    assert heard(frozen | {"beat": 40.0}, frozen | {"beat": 40.0}) == ["Beat"]
    assert heard(frozen) == ["Well again: beat"]
    assert sorted(heard(well)) == ["Well again: the process that holds the streams.", "Well again: the ticker"]


def test_an_alarm_that_cannot_be_sent_is_said_and_sent_at_the_next_look(monkeypatch):
    said = []
    monkeypatch.setenv("WATCH_ROUTE", "nosuch://hidden-secret@example.org")
    alarms = Alarms("named", said.append)
    stopped = pulses.judge({}, 10.0)
    for now_s in (0, 2):
        alarms.hear(stopped, now_s)
    assert any("could not be sent" in line for line in said)
    assert "hidden-secret" not in " ".join(said)
    with web_receiver() as web:
        monkeypatch.setenv("WATCH_ROUTE", f"json://127.0.0.1:{web.port}/")
        alarms.hear(stopped, 4)
        assert len(web.keys) == 2, "PostgreSQL and Valkey"


def test_the_outer_switch_is_asked_without_following_it_elsewhere_and_its_address_is_not_said():
    with web_receiver() as switch, web_receiver() as inside:
        assert ping(f"http://127.0.0.1:{switch.port}/hidden-secret") == ""
        switch.answer = f"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:{inside.port}/\r\n\r\n".encode()
        assert ping(f"http://127.0.0.1:{switch.port}/hidden-secret") == "The dead-man's switch answered 302."
        assert (switch.asked, inside.asked) == (2, 0)
    assert "hidden-secret" not in ping(f"http://127.0.0.1:{switch.port}/hidden-secret")


def test_a_switch_that_speaks_no_http_is_told_and_does_not_end_the_watch():
    with web_receiver() as switch:
        switch.answer = b"SSH-2.0-none\r\n"
        told = ping(f"http://127.0.0.1:{switch.port}/hidden-secret")
    assert told == "The dead-man's switch did not answer: BadStatusLine."


@pytest.mark.parametrize("wrong", [["--ping", "file:///etc/passwd"], ["--limit-s", "0"], ["--every-s=-1"]])
def test_watch_refuses_what_makes_no_sense(wrong):
    with pytest.raises(CommandError):
        call_command("watch", "--once", *wrong)


def test_a_web_server_has_stopped_when_it_does_not_answer_whatever_it_would_say(monkeypatch):
    monkeypatch.setattr(pulses, "look", lambda now: {part.kind: 0.0 for part in pulses.TABLE})
    with web_receiver() as web:
        url = f"http://127.0.0.1:{web.port}"
        web.answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        assert watching.look(60, url) == ()
    (stopped,) = watching.look(60, url)
    assert stopped.sentence == "The web server does not answer: see web.log."
    assert watching.look(60) == (), "who was told no address asks for none"
