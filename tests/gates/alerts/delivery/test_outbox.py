"""The outbox: cut with its reason, claimed by one, tried until it is delivered or given up where people see it."""

from datetime import time, timedelta

import pytest
from django.db import DatabaseError, transaction

from gates.alerts import reminding
from gates.alerts.commands import acknowledge
from gates.alerts.delivery import outbox
from gates.alerts.delivery.outbox import Room
from gates.alerts.delivery.pauses import MOST_ATTEMPTS
from gates.alerts.delivery.routes import RouteRefusedError, Wanted, add_route, change_route
from gates.alerts.raising import Event, raise_alert, raise_event, resolve
from gates.models import Delivery, Route
from tests.gates.alerts.delivery.cast import LEVELS, a_person, a_route
from tests.gates.cast import START, a_run

SECOND = timedelta(seconds=1)


@pytest.fixture
def run(db):
    return a_run()


def happens(run, rule="system crash", level="critical", at=START, **more):
    return raise_alert(run, rule=rule, level=level, sentence="It died.", event_at=at, now=at, **more)


def sent():
    return list(Delivery.objects.order_by("pk").values_list("route__name", "occasion"))


def test_an_alert_and_its_messages_are_written_together_or_not_at_all(run):
    a_route("mail")
    with transaction.atomic():
        happens(run)
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()
    alert = happens(run)
    happens(run)
    (row,) = Delivery.objects.all()
    assert (row.alert, row.rank, row.state, row.next_at) == (alert, 0, "waiting", START)
    assert row.title == "CRITICAL: system crash, fx-desk"


def test_cutting_again_changes_nothing(run):
    a_route("mail")
    alert = happens(run)
    assert outbox.cut(alert, "raised", START) == 1
    assert Delivery.objects.count() == 1


def test_quiet_hours_hold_back_what_is_not_critical_and_a_reminder_does_not_join_what_waits(run):
    a_route("phone", quiet=(time(11), time(13)))
    happens(run)
    high = happens(run, rule="slow", level="high")
    critical, waits = Delivery.objects.order_by("rank")
    assert (critical.next_at, waits.next_at) == (START, START + timedelta(hours=1))
    assert outbox.cut(high, "reminder", START + timedelta(minutes=20), 1) == 0


def test_an_alert_about_a_route_goes_by_another_one(db):
    phone, _ = a_route("phone"), a_route("mail")
    event = Event("alert route fails: phone", "high", "It fails.", START, cause={"route": phone.pk})
    raise_event(event, target=None, run=None, now=START)
    assert sent() == [("mail", "raised")]


def test_who_was_told_is_told_that_it_is_resolved_and_nobody_else(run):
    a_route("mail")
    alert = happens(run)
    a_route("late")
    assert resolve(alert.pk, rechecked_at=START + SECOND, words="It answers.", now=START + SECOND)
    assert sent() == [("mail", "raised"), ("mail", "resolved")]
    happens(run, at=START + 2 * SECOND)
    assert sent()[2:] == [("mail", "raised"), ("late", "raised")] or sent()[2:] == [
        ("late", "raised"),
        ("mail", "raised"),
    ]


def test_past_the_deadline_the_next_role_hears_of_it_once_however_many_tick(run):
    mine, *_ = [a_route(role, roles=(role,)) for role in ("engineer", "risk officer", "owner")]
    alert = happens(run, level="high")
    assert outbox.note_delivered(*claimed(mine), now=START)
    assert reminding.attend(START + timedelta(minutes=19)) == 0
    assert reminding.attend(START + timedelta(minutes=20)) == 1
    assert reminding.attend(START + timedelta(minutes=20)) == 0
    assert reminding.attend(START + timedelta(hours=1)) == 1
    assert sent() == [("engineer", "raised"), ("engineer", "reminder"), ("risk officer", "escalation")]
    alert.refresh_from_db()
    assert alert.escalated_to == "risk officer"
    assert [step.kind for step in alert.steps.all()] == ["raised", "reminded", "escalated"]
    acknowledge(alert.pk, person=a_person("anna"), words="I look at it.", now=START + timedelta(minutes=61))
    assert reminding.attend(START + timedelta(minutes=100)) == 0


def claimed(route, worker="one", most=4, least_rank=9, at=START):
    return outbox.claim(worker=worker, room=Room(0, 0), taken={route.pk: Room(most, least_rank)}, now=at)


def test_critical_messages_are_taken_first_and_a_claim_is_one_processs_until_its_lease_ends(run):
    route = a_route("mail")
    happens(run, rule="a", level="medium")
    happens(run, rule="b", level="high")
    happens(run, rule="c")
    (first,) = claimed(route, most=1)
    assert first.level == "critical"
    assert claimed(route, least_rank=0) == []
    assert {row.level for row in claimed(route, worker="two")} == {"high", "medium"}
    assert outbox.claim(worker="three", room=Room(9, 9), taken={}, now=START) == []
    later = START + outbox.LEASE + SECOND
    (again, *_) = claimed(route, worker="two", at=later)
    assert (again.key, again.attempts) == (first.key, 2)
    assert not outbox.note_delivered(first, now=later), "the late one changes nothing"
    assert outbox.note_delivered(again, now=later)


def test_the_first_delivery_is_kept_with_the_alert(run):
    route, other = a_route("mail"), a_route("chat")
    alert = happens(run)
    for number, each in enumerate((route, other), start=1):
        (row,) = claimed(each)
        outbox.note_delivered(row, now=START + number * SECOND)
    alert.refresh_from_db()
    assert alert.delivered_at == START + SECOND


def test_a_try_that_fails_is_tried_again_later_and_the_last_one_is_given_up_and_says_why(run):
    route, now = a_route("mail"), START
    happens(run)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        (row,) = claimed(route, at=now)
        assert row.attempts == attempt
        assert outbox.note_failed(row, "500", spread=0.5, now=now)
        row.refresh_from_db()
        assert row.next_at > now or row.state == "given up"
        now = row.next_at
    assert (row.state, row.last_error, row.given_up_at) == ("given up", "500", now)
    assert claimed(route, at=now + timedelta(days=1)) == []
    assert Route.objects.get().failures == MOST_ATTEMPTS


@pytest.mark.parametrize("change", [{"body": "x"}, {"key": "x"}, {"attempts": 0, "title": "x"}])
def test_what_a_message_says_is_not_changed(run, change):
    a_route("mail")
    happens(run)
    with pytest.raises(DatabaseError), transaction.atomic():
        Delivery.objects.update(**change)


def test_what_is_done_stays_done_and_no_message_is_removed(run):
    route = a_route("mail")
    happens(run)
    (row,) = claimed(route)
    outbox.note_delivered(row, now=START)
    for change in (lambda: Delivery.objects.update(state="waiting", delivered_at=None), Delivery.objects.all().delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": " "}, "needs a name"),
        ({"address": "mailto://me:secret@example.org"}, "named and not given"),
        ({"address": "file:relative"}, "named and not given"),
        ({"levels": ()}, "one level or more"),
        ({"levels": ("low",)}, "one level or more"),
        ({"roles": ("boss",)}, "Roles are"),
        ({"quiet": (time(7), time(7))}, "Quiet hours"),
        ({"time_zone": "Mars/Olympus"}, "no time zone"),
    ],
)
def test_a_route_that_makes_no_sense_is_refused_in_words_that_repeat_no_address(db, wrong, says):
    fields = {"name": "mail", "address": "env:MAIL", "levels": LEVELS} | wrong
    with pytest.raises(RouteRefusedError, match=says) as refused:
        add_route(Wanted(**fields), START)
    assert "secret" not in str(refused.value)
    assert not Route.objects.exists()


def test_a_route_is_changed_with_its_history_and_never_removed(db):
    route = a_route("mail")
    change_route(route.pk, Wanted("mail", "env:OTHER", ("critical",), active=False))
    assert [row.address for row in route.changes.order_by("pgh_id")] == ["env:MAIL", "env:OTHER"]
    with pytest.raises(RouteRefusedError, match="already"):
        add_route(Wanted("mail", "env:MAIL", LEVELS), START)
    with pytest.raises(DatabaseError), transaction.atomic():
        route.delete()
