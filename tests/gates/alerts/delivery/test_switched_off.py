"""A route that is switched off while messages wait for it: they are given up in words, and somebody else is told."""

from datetime import time, timedelta

import pytest

from gates.alerts.commands import acknowledge
from gates.alerts.delivery import drills, outbox, switched_off
from gates.alerts.delivery.outbox import Room
from gates.alerts.delivery.routes import Wanted, change_route
from gates.alerts.raising import raise_alert
from gates.models import Alert, Delivery
from tests.gates.alerts.delivery.cast import LEVELS, a_person, a_route
from tests.gates.cast import START, a_run

SECOND = timedelta(seconds=1)


@pytest.fixture
def alert(db):
    """One that two people's routes might take, and only the engineer's is told."""
    engineer, _ = a_route("phone", roles=("engineer",)), a_route("mail", roles=("owner",))
    run = a_run()
    alert = raise_alert(run, rule="system crash", level="critical", sentence="It died.", event_at=START, now=START)
    return alert, engineer


def off(route):
    change_route(route.pk, Wanted(route.name, route.address, LEVELS, tuple(route.roles), active=False))


def said():
    return list(Delivery.objects.order_by("pk").values_list("route__name", "state", "last_error"))


def claimed(at=START):
    return outbox.claim(worker="one", room=Room(4, 9), taken={}, now=at)


def test_it_is_never_tried_and_given_up_in_words_and_goes_by_the_route_that_is_left(alert):
    _, phone = alert
    off(phone)
    assert claimed() == [], "between the switch and the look nothing is sent either"
    assert switched_off.leave(START) == 1
    assert said() == [("phone", "given up", switched_off.WORDS), ("mail", "waiting", "")]
    assert [row.route.name for row in claimed()] == ["mail"]
    assert switched_off.leave(START + SECOND) == 0
    assert len(said()) == 2, "a second look tells nobody again"


def test_the_deadline_counts_on_from_when_it_was_raised(alert):
    row, phone = alert
    Alert.objects.filter(pk=row.pk).update(step_at=START + SECOND)
    off(phone)
    switched_off.leave(START + 5 * SECOND)
    row.refresh_from_db()
    assert row.step_at == START + SECOND


def test_a_try_that_is_under_way_ends_first_and_what_it_brings_is_noted(alert):
    _, phone = alert
    (under_way,) = claimed()
    off(phone)
    assert switched_off.leave(START + SECOND) == 0
    assert outbox.note_delivered(under_way, now=START + SECOND)
    assert [state for _, state, _ in said()] == ["delivered"]


def test_a_try_that_failed_before_keeps_its_words(alert):
    _, phone = alert
    (under_way,) = claimed()
    outbox.note_failed(under_way, "It answered 500.", spread=0.5, now=START)
    off(phone)
    switched_off.leave(START + SECOND)
    assert said()[0][2] == f"{switched_off.WORDS} The last try: It answered 500."


def test_what_somebody_has_acknowledged_or_another_route_has_told_goes_by_no_other(alert):
    row, phone = alert
    acknowledge(row.pk, person=a_person("anna"), words="I look at it.", now=START + SECOND)
    off(phone)
    switched_off.leave(START + 2 * SECOND)
    assert len(said()) == 1


def test_what_is_told_by_another_route_as_well_is_not_told_again(db):
    phone, _ = a_route("phone"), a_route("mail")
    a_route("owner", roles=("owner",))
    raise_alert(a_run(), rule="slow", level="high", sentence="It is slow.", event_at=START, now=START)
    off(phone)
    switched_off.leave(START)
    assert [name for name, *_ in said()] == ["phone", "mail"]


def test_a_drills_message_for_quiet_hours_says_that_its_route_was_switched_off(db):
    phone = a_route("phone", quiet=(time(22), time(6)))
    drill = drills.start(None, START)
    off(phone)
    assert switched_off.leave(START) == 2
    judged = drills.judged(drill, START)
    assert judged.verdict == "failed"
    assert {message.words for message in judged.messages} == {f"could not be delivered: {switched_off.WORDS}"}


def test_the_route_that_is_on_again_takes_what_comes_then_and_not_what_was(alert):
    row, phone = alert
    off(phone)
    switched_off.leave(START)
    change_route(phone.pk, Wanted("phone", phone.address, LEVELS, ("engineer",)))
    assert [each.route.name for each in claimed()] == ["mail"]
    outbox.cut(row, "reminder", START + SECOND, 1)
    assert ("phone", "waiting", "") in said()
