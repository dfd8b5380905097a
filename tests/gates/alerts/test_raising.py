"""The life of an alert: one however many see it, open until it is acknowledged, resolved by a clean re-check alone."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from hypothesis import given
from hypothesis import strategies as st

from gates.alerts.commands import MOST_WORDS, AlertRefusedError, acknowledge
from gates.alerts.raising import Event, hold, raise_alert, raise_event, resolve
from gates.alerts.thresholds import LONGEST_HOLD, QUIET
from gates.models import Alert, AlertStep
from tests.gates.cast import START, a_run
from tests.gates.elsewhere import elsewhere

RULE = "system crash"


def after(seconds):
    return START + timedelta(seconds=seconds)


def happens(run, at_s, *, level="critical", **fields):
    shape = {"rule": RULE, "sentence": f"It died at {at_s}.", "event_at": after(at_s - 0.5)} | fields
    return raise_alert(run, level=level, now=after(at_s), **shape)


def is_resolved(alert, at_s):
    return resolve(alert.pk, rechecked_at=after(at_s), words="It answers.", now=after(at_s))


def kinds(alert):
    return list(alert.steps.values_list("kind", flat=True))


@pytest.fixture
def run(db):
    return a_run()


@pytest.fixture
def person(db):
    return User.objects.create_user("anna")


def test_what_happens_again_folds_into_the_alert_that_stands(run):
    first = happens(run, 0, cause={"pid": 7}, threshold="alive")
    again = happens(run, 5)
    assert (again.pk, again.count, again.last_at) == (first.pk, 2, after(5))
    assert (again.sentence, again.cause, again.event_at) == ("It died at 0.", {"pid": 7}, after(-0.5))
    assert happens(run, 6, rule="slow queries", level="medium").deadline_at == after(6) + timedelta(hours=4)


@pytest.mark.parametrize("bad", ["\0", "\ud83d"], ids=["the byte NUL", "half a letter"])
def test_text_that_cannot_be_stored_loses_no_alert(run, bad):
    for _ in range(2):
        alert = happens(run, 0, sentence=f"Last: {bad}raw", cause={"line": f"{bad}raw", "lines": [bad], bad: 1})
    assert (alert.count, alert.sentence) == (2, "Last: \ufffdraw")
    assert alert.cause == {"line": "\ufffdraw", "lines": ["\ufffd"], "\ufffd": 1}


def test_a_storm_is_counted_whole_and_told_in_a_few_steps(run):
    for number in range(120):
        happens(run, number / 100)
    alert = happens(run, 2, times=9_880)
    assert alert.count == 10_000
    assert [(step.kind, step.count) for step in alert.steps.all()] == [
        ("raised", 1),
        ("folded", 10),
        ("folded", 100),
        ("folded", 10_000),
    ]


def test_without_a_run_or_a_target_there_is_one_alert_too(run):
    for _ in range(2):
        for target in (run.campaign.target, None):
            raise_event(Event(RULE, "critical", "Gone.", after(0)), target=target, run=None, now=after(0))
    assert list(Alert.objects.values_list("count", flat=True)) == [2, 2]


def test_a_clean_re_check_resolves_only_what_did_not_happen_since(run):
    alert = happens(run, 10)
    assert not is_resolved(alert, 10)
    assert is_resolved(alert, 11)
    assert not is_resolved(alert, 12)
    alert.refresh_from_db()
    assert (alert.state, alert.recheck, alert.rechecked_at) == ("resolved", "It answers.", after(11))


def test_what_flaps_is_one_alert_that_must_be_quiet_for_longer_each_time(run, person):
    alert = happens(run, 0)
    acknowledge(alert.pk, person=person, words="I look.", now=after(1))
    assert is_resolved(alert, 2)
    back = happens(run, 20)
    assert (back.pk, back.state, back.openings, back.count) == (alert.pk, "open", 2, 2)
    assert (back.deadline_at, back.recheck, back.resolved_at) == (after(20), "", None)
    assert not is_resolved(back, 29)
    assert is_resolved(back, 30)
    assert kinds(back) == ["raised", "acknowledged", "resolved", "reopened", "resolved"]
    later = happens(run, 30 + QUIET.total_seconds() + 1)
    assert (later.pk != alert.pk, later.count, later.openings) == (True, 1, 1)


@given(openings=st.integers(1, 10_000))
def test_the_hold_grows_and_has_an_end(openings):
    assert hold(openings) <= hold(openings + 1) <= LONGEST_HOLD
    assert hold(1) == timedelta(0)


def test_what_gets_worse_opens_again_by_its_new_deadline(run, person):
    alert = happens(run, 0, level="medium")
    acknowledge(alert.pk, person=person, words="It can wait.", now=after(1))
    worse = happens(run, 2, level="critical")
    assert (worse.pk, worse.level, worse.state, worse.deadline_at) == (alert.pk, "critical", "open", after(2))
    assert happens(run, 3, level="high").level == "critical"


def test_who_acknowledges_says_something_and_nobody_does_it_twice(run, person):
    alert = happens(run, 0)
    for words, reason in ((" \0\n", "few words"), ("x" * (MOST_WORDS + 1), "letters at most")):
        with pytest.raises(AlertRefusedError, match=reason):
            acknowledge(alert.pk, person=person, words=words, now=after(1))
    acknowledge(alert.pk, person=person, words=" I restart it. ", now=after(1))
    step = alert.steps.get(kind="acknowledged")
    assert (step.person, step.words) == (person, "I restart it.")
    with pytest.raises(AlertRefusedError, match="anna has"):
        acknowledge(alert.pk, person=person, words="Me too.", now=after(2))
    assert is_resolved(alert, 3)
    with pytest.raises(AlertRefusedError, match="resolved already"):
        acknowledge(alert.pk, person=person, words="Late.", now=after(4))
    with pytest.raises(AlertRefusedError, match="no such"):
        acknowledge(0, person=person, words="What?", now=after(4))


def resolved_with(**fields):
    shape = {"state": "resolved", "recheck": "Fine.", "rechecked_at": after(20), "resolved_at": after(20)}
    return lambda alerts: alerts.update(**shape | fields)


TAMPERS = {
    "deleted": lambda alerts: alerts.all().delete(),
    "acknowledged by nobody": lambda alerts: alerts.update(state="acknowledged"),
    "resolved in silence": lambda alerts: alerts.update(state="resolved"),
    "resolved without words": resolved_with(recheck=""),
    "resolved by an older look": resolved_with(rechecked_at=after(10)),
    "fewer times": lambda alerts: alerts.update(count=1),
    "another time": lambda alerts: alerts.update(event_at=after(9)),
    "raised sooner": lambda alerts: alerts.update(raised_at=after(-9)),
    "seen earlier": lambda alerts: alerts.update(last_at=after(0)),
    "another rule": lambda alerts: alerts.update(rule="nothing"),
    "less grave": lambda alerts: alerts.update(level="medium"),
    "more time": lambda alerts: alerts.update(deadline_at=after(999)),
    "delivered twice": lambda alerts: [alerts.update(delivered_at=after(n)) for n in (11, 12)],
    "steps changed": lambda alerts: AlertStep.objects.update(words="I did"),
    "steps deleted": lambda alerts: AlertStep.objects.all().delete(),
    "opened twice as often": lambda alerts: alerts.update(openings=5),
}


@pytest.mark.parametrize("tamper", TAMPERS.values(), ids=TAMPERS)
def test_an_alert_cannot_be_argued_away_even_by_sql(run, tamper):
    happens(run, 5)
    happens(run, 10)
    with pytest.raises(DatabaseError), transaction.atomic():
        tamper(Alert.objects.filter(rule=RULE))


def test_what_is_resolved_stays_so(run):
    alert = happens(run, 0)
    assert is_resolved(alert, 1)
    with pytest.raises(DatabaseError), transaction.atomic():
        Alert.objects.filter(pk=alert.pk).update(count=9)
    with pytest.raises(DatabaseError), transaction.atomic():
        Alert.objects.filter(pk=alert.pk).update(state="open", recheck="", rechecked_at=None, resolved_at=None)
    Alert.objects.filter(pk=alert.pk).update(delivered_at=after(9))


RAISING = f"""
from gates.alerts.raising import raise_alert, resolve
from gates.models import Alert, Run
run = Run.objects.get()
print("ready", flush=True)
input()
for number in range(100):
    now = timezone.now()
    alert = raise_alert(run, rule="{RULE}", level="critical", sentence="Gone.", event_at=now, now=now)
    if number % 10 == 9:
        resolve(alert.pk, rechecked_at=timezone.now(), words="Back.", now=timezone.now())
print("done", flush=True)
"""


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_see_the_same_make_one_alert_and_lose_no_event(postgres_server):
    run = a_run()
    both = [elsewhere(postgres_server, RAISING) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in both:
        said, _ = process.communicate(timeout=60)
        assert (said, process.returncode) == ("done\n", 0)
    alert = Alert.objects.get(run=run)
    assert alert.count == 200
    assert alert.steps.filter(kind="raised").count() == 1
    assert alert.steps.filter(kind="reopened").count() == alert.openings - 1
