"""The pages of alerts: who may see and change what, what is shown, and what is refused in which words."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from gates.alerts.commands import acknowledge
from gates.alerts.pages.inbox import Wanted, alerts_of
from gates.alerts.pages.seen import hidden, pieces
from gates.alerts.raising import Event, note, raise_event, resolve
from gates.models import Alert, Route, RuleWatch
from tests.gates.alerts.pages.staged import EVIL, person, staged

pytestmark = pytest.mark.django_db
PAGES = ("", "times/", "rules/", "routes/", "drills/")


@pytest.fixture(autouse=True)
def plain_static(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.fixture
def engineer():
    return person("engineer", "engineer")


@pytest.fixture
def alerts(engineer):
    return staged(engineer)


@pytest.fixture
def browser(client, engineer):
    client.force_login(engineer)
    return client


@pytest.fixture
def stranger(client):
    """Somebody who is signed in and has no role."""
    client.force_login(person("stranger", None))
    return client


def text(answer):
    return " ".join(answer.content.decode().split())


def test_without_a_sign_in_nothing_of_an_alert_is_told(client, alerts):
    own = alerts["missed"].get_absolute_url()
    for address in (*(f"/alerts/{page}" for page in PAGES), "/alerts.json", "/alerts/now", "/streams/", own):
        assert client.get(address).status_code == 302, address
    assert client.post(f"{own}acknowledge", {"words": "x"}).status_code == 302
    assert Alert.objects.get(pk=alerts["missed"].pk).state == "open"


def test_whoever_is_signed_in_sees_every_page_and_its_twin(stranger, alerts):
    for page in PAGES:
        assert stranger.get(f"/alerts/{page}").status_code == 200, page
        twin = f"/alerts/{page.rstrip('/')}.json" if page else "/alerts.json"
        assert stranger.get(twin).json()
    for row in alerts.values():
        assert stranger.get(row.get_absolute_url()).status_code == 200
        assert stranger.get(f"/alerts/{row.pk}.json").json()["alert"] == row.pk
    assert stranger.get("/streams/").status_code == 200


def test_least_time_left_comes_first_then_what_somebody_knows_of(browser, engineer, alerts):
    order = [row.pk for row in alerts_of(Wanted(state="all"), engineer)]
    expected = [alerts[name].pk for name in ("balance", "missed", "slow", "ours", "busy", "before")]
    assert order == expected
    assert [line["alert"] for line in browser.get("/alerts.json?state=all").json()["alerts"]] == expected


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"balance", "missed", "slow", "ours", "busy"}),
        ("state=resolved", {"before"}),
        ("state=acknowledged", {"busy"}),
        ("level=high", {"slow", "ours"}),
        ("rule=missed+SL/TP+trigger&state=all", {"missed", "before"}),
        ("target=fx-desk&level=medium", {"busy"}),
        ("mine=1", {"busy"}),
        ("state=nonsense&level=none", {"balance", "missed", "slow", "ours", "busy"}),
        ("target=%00", {"balance", "missed", "slow", "ours", "busy"}),
    ],
)
def test_the_inbox_is_narrowed_by_what_is_asked(browser, alerts, query, found):
    lines = browser.get(f"/alerts.json?{query}").json()["alerts"]
    assert {line["alert"] for line in lines} == {alerts[name].pk for name in found}


def test_an_alert_passed_on_to_my_role_is_mine(browser, alerts):
    Alert.objects.filter(pk=alerts["missed"].pk).update(escalated_to="engineer")
    Alert.objects.filter(pk=alerts["slow"].pk).update(escalated_to="owner")
    mine = {line["alert"] for line in browser.get("/alerts.json?mine=1").json()["alerts"]}
    assert mine == {alerts["missed"].pk, alerts["busy"].pk}


def test_the_inbox_answers_nothing_new_until_an_alert_moves(browser, alerts, engineer):
    told = browser.get("/alerts/").context["cursor"]
    assert browser.get(f"/alerts/live?since={told}").status_code == 204
    acknowledge(alerts["slow"].pk, person=engineer, words="I look.", now=timezone.now())
    moved = browser.get(f"/alerts/live?since={told}&level=high")
    assert moved.status_code == 200
    assert "by engineer" in text(moved)
    assert "Processor time" not in text(moved), "the filter stays in force"


def test_each_page_learns_of_a_new_critical_alert_and_of_nothing_else_twice(browser, alerts):
    told = browser.get("/alerts/now").json()
    assert (told["open"], told["critical"], told["overdue"]) == (4, 2, 2)
    assert browser.get(f"/alerts/now?since={told['mark']}").status_code == 204
    for kind in ("folded", "reminded", "escalated"):
        note(alerts["missed"], kind, timezone.now(), words="still open")
    assert browser.get(f"/alerts/now?since={told['mark']}").status_code == 204, "its history is no second alert"
    now = timezone.now()
    raise_event(Event("system crash", "critical", "Gone.", now), target=None, run=None, now=now)
    later = browser.get(f"/alerts/now?since={told['mark']}").json()
    assert later["newest_critical"] > told["newest_critical"]
    assert (later["open"], later["critical"]) == (5, 3)
    assert 'data-open="5"' in text(browser.get("/about/")), "the badge stands on every page"


def test_text_of_a_target_is_never_markup_and_hides_nothing(browser, alerts):
    for address in ("/alerts/", alerts["balance"].get_absolute_url(), "/"):
        page = text(browser.get(address))
        assert "<script>alert(1)" not in page, address
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, address
        assert "\u202e" not in page, address
        assert "\x1b" not in page, address
        assert "U+202E" in page, address
    assert "&lt;b&gt;no&lt;/b&gt;" in text(browser.get(alerts["missed"].get_absolute_url()))
    assert browser.get(f"/alerts/{alerts['balance'].pk}.json").json()["sentence"].count(EVIL) == 1, (
        "a twin is as it was"
    )


@given(st.text(max_size=300))
def test_whatever_is_said_no_sign_that_hides_is_left_and_every_one_is_named(said):
    shown = list(pieces(said))
    assert not any(hidden(letter) for plain, _ in shown for letter in plain)
    named = [f"U+{ord(letter):04X}" for letter in said if hidden(letter) and not letter.isspace()]
    assert [
        name for _, name in shown if name and chr(int(name[2:], 16)) not in "\u2028\u2029\x1c\x1d\x1e\x1f\x85"
    ] == named


def test_an_alert_shows_its_times_limit_runbook_cause_deliveries_and_history(browser, alerts):
    page = text(browser.get(alerts["missed"].get_absolute_url()))
    for words in (
        "240 ms after the event",
        "within 5 s",
        "executed within 5 s",
        "The price went through a stop",
        "do not close it by hand",
        "order id",
        "no price for 4.0 s",
        "night phone",
        "The receiver answered 500",
        "An earlier one.",
    ):
        assert words in page, words
    balance = text(browser.get(alerts["balance"].get_absolute_url()))
    finding = alerts["balance"].run.findings.get()
    assert finding.get_absolute_url() in balance
    assert finding.slot.get_absolute_url() in balance
    assert "not delivered" in balance
    assert "100012.4300" in balance


def test_a_cause_that_leads_nowhere_is_shown_and_breaks_nothing(browser, alerts):
    for cause in ({"slot": "9" * 40, "finding": "x"}, {"slot": -1, "where": [1]}, ["a"], {"slot": None}, "text"):
        Alert.objects.filter(pk=alerts["missed"].pk).update(cause=cause)
        assert browser.get(alerts["missed"].get_absolute_url()).status_code == 200, cause
        assert browser.get(f"/alerts/{alerts['missed'].pk}.json").status_code == 200, cause


def test_a_person_with_the_role_acknowledges_in_words(browser, alerts):
    row = alerts["slow"]
    answer = browser.post(
        f"{row.get_absolute_url()}acknowledge", {"words": "I look.", "opening": "1", "next": "/alerts/"}
    )
    assert (answer.status_code, answer.url) == (302, "/alerts/")
    page = text(browser.get(row.get_absolute_url()))
    assert "acknowledged</span> by engineer" in page
    assert "I look." in page


def test_who_acknowledges_is_led_nowhere_else(browser, alerts):
    row = alerts["slow"]
    sent = {"words": "I look.", "next": "https://elsewhere.example/"}
    assert browser.post(f"{row.get_absolute_url()}acknowledge", sent).url == row.get_absolute_url()


def test_nobody_without_a_role_acknowledges_and_their_words_stay(stranger, alerts):
    row = alerts["slow"]
    answer = stranger.post(f"{row.get_absolute_url()}acknowledge", {"words": "I look."})
    assert answer.status_code == 403
    assert "Your role does not acknowledge alerts" in text(answer)
    row.refresh_from_db()
    assert row.state == "open"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [("  ", "Say in a few words"), ("\0", "Say in a few words"), ("x" * 2001, "in 2,000 letters at most")],
)
def test_without_words_or_with_a_book_of_them_it_is_refused_in_one_sentence(browser, alerts, words, sentence):
    answer = browser.post(f"{alerts['slow'].get_absolute_url()}acknowledge", {"words": words})
    assert answer.status_code == 409
    assert sentence in text(answer)


def test_twice_and_from_a_page_that_is_old_it_is_refused_in_one_sentence(browser, alerts):
    row = alerts["slow"]
    address, now = f"{row.get_absolute_url()}acknowledge", timezone.now()
    browser.post(address, {"words": "I look.", "opening": "1"})
    again = browser.post(address, {"words": "Me too.", "opening": "1"})
    assert (again.status_code, "engineer has acknowledged the alert already." in text(again)) == (409, True)
    assert "Me too." in text(again), "what was written is not lost"
    resolve(row.pk, rechecked_at=now + timedelta(seconds=1), words="In time.", now=now + timedelta(seconds=1))
    assert "is resolved already" in text(browser.post(address, {"words": "Me too."}))
    event = Event(row.rule, "high", "Stop 12 was executed in 900 ms.", now)
    raise_event(event, target=row.target, run=row.run, now=now + timedelta(seconds=5))
    stale = browser.post(address, {"words": "I know.", "opening": "1"})
    assert (stale.status_code, "opened again since you were shown it" in text(stale)) == (409, True)
    row.refresh_from_db()
    assert (row.state, row.openings) == ("open", 2)


def test_an_alert_that_is_not_there_is_not_found(browser, alerts):
    assert browser.get("/alerts/999999/").status_code == 404
    assert browser.post("/alerts/999999/acknowledge", {"words": "x"}).status_code == 404
    assert browser.get(f"{alerts['slow'].get_absolute_url()}acknowledge").status_code == 405


def test_times_are_the_percentiles_of_what_was_raised_and_delivered_in_the_stretch(browser, alerts):
    told = browser.get("/alerts/times.json?over=24+h").json()
    lines = {line["rule"]: line for line in told["times"]}
    missed = lines["missed SL/TP trigger"]
    assert missed["count"] == missed["delivered_count"] == 1, "the one of three days ago is not in it"
    assert missed["event_to_delivered"] == {"p50_s": 0.24, "p99_s": 0.24, "max_s": 0.24, "late": 0}
    assert lines[None]["count"] == 5
    month = {line["rule"]: line for line in browser.get("/alerts/times.json").json()["times"]}
    assert month["missed SL/TP trigger"]["event_to_raised"] == {"p50_s": 0.24, "p99_s": 9.0, "max_s": 9.0, "late": 1}
    assert month["SL/TP latency > 100 ms"]["event_to_delivered"]["max_s"] is None
    assert "1 late" in text(browser.get("/alerts/times/?over=nonsense"))


def test_the_rules_page_names_all_thirteen_with_runbook_and_what_targets_set(browser, alerts):
    told = browser.get("/alerts/rules.json").json()
    assert len(told["rules"]) == 13
    assert all(all(rule["runbook"].values()) for rule in told["rules"])
    assert {limit["name"]: limit["of_targets"] for limit in told["limits"]}["stop_latency_ms"] == {"fx-desk": 250.0}
    alerts["missed"].target.spec = {"alerts": {"cpu_pct": "much"}}
    alerts["missed"].target.save()
    assert "[alerts] cpu_pct is &#x27;much&#x27;" in text(browser.get("/alerts/rules/"))


def test_what_each_rule_says_now_stands_on_its_runbook_and_on_its_alert(browser, alerts):
    run = alerts["missed"].run
    shape = {"run": run, "looked_at": timezone.now()}
    RuleWatch.objects.create(rule="missed SL/TP trigger", state="firing", words=f"waits {EVIL}", **shape)
    RuleWatch.objects.create(rule="slow queries", state="not judged", words="no access to pg_stat_activity", **shape)
    now = {rule["rule"]: rule["now"] for rule in browser.get("/alerts/rules.json").json()["rules"]}
    assert [each["state"] for each in now["missed SL/TP trigger"]] == ["firing"]
    page = text(browser.get("/alerts/rules/"))
    assert "no access to pg_stat_activity" in page
    assert "<script>alert(1)" not in page
    assert "The rule now" in text(browser.get(alerts["missed"].get_absolute_url()))
    assert "The rule now" not in text(browser.get(alerts["ours"].get_absolute_url()))


WANTED = {"name": "chat", "address": "env:CHAT", "levels": ["critical"], "time_zone": "Europe/Berlin", "active": "on"}


def test_a_route_is_added_changed_and_switched_off_by_whoever_keeps_them(browser, alerts):
    hours = {"quiet_from": "22:00", "quiet_until": "06:30"}
    assert browser.post("/alerts/routes/add/", WANTED | hours).status_code == 302
    row = Route.objects.get(name="chat")
    assert (row.levels, row.quiet_from.hour, row.time_zone, row.active) == (["critical"], 22, "Europe/Berlin", True)
    assert browser.post(f"/alerts/routes/{row.pk}/", WANTED | {"levels": ["critical", "high"]}).status_code == 302
    assert browser.post(f"/alerts/routes/{row.pk}/switch", {"active": "off"}).status_code == 302
    row.refresh_from_db()
    assert (row.levels, row.quiet_from, row.active) == (["critical", "high"], None, False)
    assert "switched off" in text(browser.get("/alerts/routes/"))
    assert text(browser.get(f"/alerts/routes/{row.pk}/")).count("env:CHAT") >= 3, "what it was stays in its history"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"address": "mailto://me:secret@example.org"}, "The address must be named and not given"),
        ({"name": "mail"}, "There is a route named mail already"),
        ({"levels": []}, "A route takes one level or more"),
        ({"time_zone": "Berlin"}, "There is no time zone"),
        ({"quiet_from": "22:00"}, "Quiet hours are two times"),
        ({"quiet_from": "late", "quiet_until": "early"}, "Quiet hours are two times"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "Quiet hours that begin when they end are none"),
        ({"roles": ["king"]}, "Roles are:"),
    ],
)
def test_a_route_that_cannot_be_is_refused_in_words_and_nothing_is_lost(browser, alerts, wrong, sentence):
    answer = browser.post("/alerts/routes/add/", WANTED | wrong)
    assert answer.status_code == 409
    assert sentence in text(answer)
    assert Route.objects.count() == 2
    assert (wrong.get("name") or "chat") in text(answer)


def test_nobody_without_the_permission_touches_routes_or_starts_a_drill(client, alerts):
    client.force_login(person("auditor", "auditor"))
    row = Route.objects.first()
    for address in ("/alerts/routes/add/", f"/alerts/routes/{row.pk}/", f"/alerts/routes/{row.pk}/switch"):
        assert client.post(address, WANTED).status_code == 403, address
    assert "Add a route" not in text(client.get("/alerts/routes/"))
    client.force_login(person("stranger", None))
    assert client.post("/alerts/drills/start").status_code == 403


def test_no_page_tells_where_a_route_leads_or_the_code_of_a_drill(browser, alerts, monkeypatch):
    monkeypatch.setenv("NIGHT_PHONE", "jsons://user:hunter2@example.org/secret")
    browser.post("/alerts/drills/start")
    codes = list(Route.objects.get(name="mail").deliveries.exclude(code="").values_list("code", flat=True))
    assert codes
    own = [f"/alerts/{row.pk}{end}" for row in alerts.values() for end in ("/", ".json")]
    for address in ("/alerts/routes/", "/alerts/routes.json", "/alerts/drills/", "/alerts/drills.json", *own):
        page = browser.get(address).content.decode()
        assert "hunter2" not in page, address
        assert not any(code in page for code in codes), address


def test_a_drill_is_started_and_answered_once_by_its_code(browser, alerts):
    assert "No drill yet" in text(browser.get("/alerts/drills/"))
    browser.post("/alerts/drills/start")
    code = Route.objects.get(name="mail").deliveries.exclude(code="").get().code
    said = text(browser.post("/alerts/drills/answer", {"code": "NOTHING"}, follow=True))
    assert "No message of a drill has this code" in said
    assert "Received by mail" in text(browser.post("/alerts/drills/answer", {"code": code.lower()}, follow=True))
    assert "answered this message already" in text(browser.post("/alerts/drills/answer", {"code": code}, follow=True))
    (drill,) = browser.get("/alerts/drills.json").json()["drills"]
    received = {message["route"]: message["verdict"] for message in drill["messages"]}
    assert received == {"mail": "passed", "night phone": None}


def test_the_streams_page_says_which_criterion_a_gap_leaves_open(browser, alerts):
    (told,) = browser.get("/streams.json").json()["runs"]
    assert {gap["kind"]: gap["inconclusive"] for gap in told["gaps"]} == {
        "prices": "stops executed",
        "transactions": None,
    }
    page = text(browser.get("/streams/"))
    assert "makes “stops executed” inconclusive" in page
    assert "the broker refused the connection" in page
    assert json.dumps(told).count("here:1:1") == 0
    assert "#live" not in page
    assert browser.get("/streams/live").status_code == 200


def test_a_stream_that_says_connected_and_tells_nothing_is_silent(browser, alerts):
    run = alerts["missed"].run
    run.streams.filter(kind="prices").update(last_line_at=timezone.now() - timedelta(minutes=1))
    (told,) = browser.get("/streams.json").json()["runs"]
    assert {stream["kind"]: stream["is"] for stream in told["streams"]} == {
        "prices": "silent",
        "transactions": "waiting",
    }
