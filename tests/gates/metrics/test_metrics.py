"""`/metrics`: who may read it, what it tells, and that it costs the same however much the portal holds."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from gates.alerts.raising import Event, raise_alert, raise_event
from gates.models import Beat, CrashPoint, Heal, RuleWatch, Slot, Stream, StreamGap, StreamLease
from gates.streams.lease import NAME
from tests.gates.alerts.pages.staged import staged
from tests.gates.cast import a_run
from tests.gates.chaos.pages.staged import staged_run

pytestmark = pytest.mark.django_db
TOKEN = "a token of the tests"


@pytest.fixture(autouse=True)
def no_valkey(settings):
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"redis_url": Address("redis://127.0.0.1:1/0")})


class Address(str):
    def get_secret_value(self):
        return str(self)


@pytest.fixture
def reader(client: Client) -> Client:
    client.force_login(User.objects.create_user("auditor"))
    return client


def told(reader, **headers):
    """Return {(name, labels as sorted pairs): value} of a scrape."""
    answer = reader.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name.removeprefix("wartest_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def of(figures, name, **labels):
    """Return the values of a figure whose labels are among these."""
    return [
        value for (found, pairs), value in figures.items() if found == name and labels.items() <= dict(pairs).items()
    ]


def test_nobody_reads_without_a_sign_in_or_the_token(client, settings):
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer another"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": TOKEN}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code in {403, 405}


def test_where_no_token_is_set_an_empty_one_opens_nothing(client, settings):
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401


def test_ticks_slots_holes_streams_and_alerts_are_told(reader):
    now = timezone.now()
    run = a_run(start=now - timedelta(seconds=11))
    Beat.objects.create(kind="tick", last_at=now - timedelta(seconds=7))
    Slot.objects.filter(pk=run.slots.order_by("due_at").first().pk).update(state="hole", verdict="inconclusive")
    Stream.objects.create(run=run, kind="prices", state="connected", last_line_at=now - timedelta(seconds=3), lines=70)
    Stream.objects.create(run=run, kind="transactions", reason="refused")
    StreamGap.objects.create(run=run, kind="prices", since=now, until=now, repaired=False, sentence="a gap")
    for rule, state in (("system crash", "clean"), ("slow queries", "firing"), ("event replay failure", "not judged")):
        RuleWatch.objects.create(run=run, rule=rule, state=state, looked_at=now - timedelta(seconds=1))
    StreamLease.objects.create(name=NAME, holder="one", lease_until=now + timedelta(seconds=5))
    raise_alert(run, rule="system crash", level="critical", sentence="It died.", event_at=now, now=now)
    portal = Event("stream process frozen", "high", "It stands still.", now)
    raise_event(portal, target=None, run=None, now=now)
    figures = told(reader)
    assert 7 <= of(figures, "last_tick_age_seconds")[0] < 60
    assert 7 <= of(figures, "beat_age_seconds", process="tick")[0] < 60
    assert of(figures, "slots_due")[0] == run.slots.filter(state="due", due_at__lte=now).count() > 0
    assert of(figures, "slots_due_age_seconds")[0] > 0
    assert of(figures, "slot_holes", target="fx-desk") == [1]
    assert 0.5 < of(figures, "run_progress_ratio", gate="1", profile="smoke")[0] <= 1
    assert 3 <= of(figures, "stream_age_seconds", stream="prices")[0] < 60
    assert of(figures, "stream_age_seconds", stream="transactions") == [], "no line yet has no age"
    assert of(figures, "stream_connected", stream="transactions") == [0]
    assert of(figures, "stream_lines_total", stream="prices") == [70]
    assert of(figures, "stream_gaps", repaired="no", target="fx-desk") == [1]
    assert of(figures, "stream_lease_seconds")[0] <= 5
    assert of(figures, "alerts", rule="system crash", level="critical", state="open", target="fx-desk") == [1]
    assert of(figures, "alerts", level="high", target="") == [1], "an alert of the portal itself"
    assert of(figures, "alerts_overdue", level="critical") == [1]
    assert of(figures, "rule_firing", rule="system crash") == [0]
    assert of(figures, "rule_firing", rule="slow queries") == [1]
    assert of(figures, "rule_firing", rule="event replay failure") == [], "what is not judged is neither"
    assert 1 <= of(figures, "watch_age_seconds", target="fx-desk")[0] < 60
    assert of(figures, "broker_up") == [0]


def test_strikes_receipts_and_heals_of_a_running_gate_2_are_told(reader):
    staged_run()
    figures = told(reader)
    (failed,) = of(figures, "chaos_strikes", verdict="failed", phase="done", target="fx-desk")
    assert failed == 1
    assert of(figures, "chaos_strikes", phase="struck", verdict="") == [1]
    proven = CrashPoint.objects.filter(receipt__isnull=False)
    assert of(figures, "proxy_receipts") == [proven.count()]
    assert of(figures, "chaos_recovery_max_seconds")[0] == max(point.recovery_ms or 0 for point in proven) / 1000
    assert of(figures, "chaos_heals_open") == [Heal.objects.filter(healed_at=None).count()]


def test_holes_are_counted_from_an_index_of_holes_alone(reader):
    run = a_run(profile="rehearsal")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT count(*) FROM gates_slot WHERE state = 'hole' AND run_id = %s", [run.pk])
        assert any("holes_of_runs" in line for (line,) in cursor.fetchall())


def test_what_waits_to_be_told_and_how_fast_alerts_were_is_told(reader):
    staged(User.objects.get(username="auditor"))
    figures = told(reader)
    assert of(figures, "outbox_messages", route="night phone")[0] > 0
    assert of(figures, "outbox_age_seconds", route="mail")[0] > 0
    assert of(figures, "route_usable", route="mail") == [1]
    assert of(figures, "route_failures", route="mail") == [0]
    assert of(figures, "alert_delivered_seconds", quantile="0.99") == [0.24]
    assert of(figures, "alert_raised_seconds", quantile="1") == [5.0]


def test_before_the_first_tick_its_age_is_absent_and_not_nought(reader):
    assert of(told(reader), "last_tick_age_seconds") == []


def test_a_scrape_asks_as_few_questions_of_a_full_portal_as_of_an_empty_one(reader, django_assert_max_num_queries):
    for _ in range(3):
        a_run(profile="rehearsal", start=timezone.now())
    with django_assert_max_num_queries(24):
        told(reader)


def test_a_scraper_that_speaks_openmetrics_is_answered_in_it(reader):
    answer = reader.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")
