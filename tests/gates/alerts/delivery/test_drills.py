"""Drills: each route, in its quiet hours and out of them; only who has the code can say that it came."""

from datetime import time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.alerts.delivery import outbox
from gates.alerts.delivery.drills import ANSWER_LIMIT, DrillRefusedError, answer, judge, judged, start
from gates.alerts.delivery.outbox import Room
from gates.alerts.delivery.posting import letter_of
from gates.models import Delivery
from tests.gates.alerts.delivery.cast import a_person, a_route
from tests.gates.cast import START

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def delivered(drill, at=START):
    """Deliver what is due. Returns the codes that people read, by route and whether in quiet hours."""
    codes = {}
    for row in outbox.claim(worker="w", room=Room(9, 9), taken={}, now=at):
        codes[row.route.name, row.quiet] = letter_of(row).body.split("give this code: ")[1].split()[0]
        outbox.note_delivered(row, now=at)
    return codes


def test_a_drill_reaches_every_route_in_quiet_hours_and_out_of_them():
    a_route("mail")
    a_route("phone", quiet=(time(22), time(7)))
    drill = start(a_person("anna"), START)
    rows = drill.deliveries.order_by("route__name", "quiet").values_list("route__name", "quiet", "next_at")
    tonight = START.replace(hour=22)
    assert list(rows) == [("mail", False, START), ("phone", False, START), ("phone", True, tonight)]
    codes = delivered(drill)
    anna = a_person("anna")
    for code in codes.values():
        answer(f" {code.lower()} ", anna, START + MINUTE)
    assert judged(drill, START + MINUTE).verdict is None, "the night has not come"
    (night,) = delivered(drill, tonight).values()
    answer(night, anna, tonight + 2 * MINUTE)
    now = judged(drill, tonight + 2 * MINUTE)
    assert now.verdict == "passed"
    assert [message.answered_after for message in now.messages] == [MINUTE, MINUTE, 2 * MINUTE]
    assert {message.answered_by for message in now.messages} == {"anna"}


def test_a_route_that_nobody_answers_on_fails_the_drill():
    a_route("mail")
    drill = start(None, START)
    assert judged(drill, START).verdict is None
    delivered(drill)
    assert judged(drill, START + ANSWER_LIMIT).verdict is None
    late = judged(drill, START + ANSWER_LIMIT + MINUTE)
    assert (late.verdict, late.messages[0].words) == ("failed", "delivered, and nobody answered in time")


def test_only_a_code_from_a_message_answers_and_only_once():
    a_route("mail")
    drill = start(None, START)
    (code,) = delivered(drill).values()
    assert code not in Delivery.objects.get().body
    for wrong in ("", "ABCDEFGH"):
        with pytest.raises(DrillRefusedError, match="No message"):
            answer(wrong, a_person("anna"), START)
    answer(code, a_person("anna"), START)
    with pytest.raises(DrillRefusedError, match="already"):
        answer(code, a_person("ben"), START)


def test_a_drill_without_routes_is_refused():
    with pytest.raises(DrillRefusedError, match="no route"):
        start(None, START)


ages = st.none() | st.integers(0, 7200).map(lambda s: timedelta(seconds=s))


@given(ages, st.sampled_from([None, "", "It answered 500."]), ages)
def test_nothing_but_an_answer_in_time_passes(delivered_ago, given_up, answered_ago):
    given_up = given_up if delivered_ago is None else None
    verdict, words = judge(
        delivered_at=None if delivered_ago is None else START - delivered_ago,
        given_up=given_up,
        answered_at=None if answered_ago is None else START - answered_ago,
        now=START,
    )
    assert words
    if verdict == "passed":
        assert answered_ago is not None
        assert delivered_ago is None or delivered_ago - answered_ago <= ANSWER_LIMIT
