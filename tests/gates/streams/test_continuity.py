"""Whatever a stream drops, repeats or mixes up: each transaction is taken once, in order, and none is missed."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gates.streams.continuity import Continuity, Hole
from gates.streams.lines import Heartbeat, Told

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def told(number):
    return Told(AT, number, {"id": str(number)})


def test_a_heartbeat_shows_the_line_that_was_dropped_before_it():
    following = Continuity(7)
    assert following.follow(told(8)) == told(8)
    assert following.follow(Heartbeat(AT, 8)) is None
    assert following.follow(Heartbeat(AT, 10)) == Hole(9, 10)
    assert following.last_id == 8, "nothing is taken for told before it is"
    assert following.follow(Heartbeat(AT, None)) is None


def test_a_line_beyond_a_hole_is_not_taken_before_the_hole_is_mended():
    following = Continuity(7)
    assert following.follow(told(10)) == Hole(8, 10)
    assert [following.follow(told(number)) for number in (8, 9, 10)] == [told(8), told(9), told(10)]
    assert following.follow(told(9)) is None
    assert following.repeated == 1


@given(st.integers(0, 60), st.data())
def test_a_stream_that_drops_repeats_and_mixes_lines_up_is_followed_to_the_last_transaction(last, data):
    sent = data.draw(st.lists(st.integers(1, max(last, 1)), max_size=120))
    lines = [told(number) if data.draw(st.booleans()) else Heartbeat(AT, number) for number in sent if number <= last]
    following, taken = Continuity(0), []
    for line in [*lines, Heartbeat(AT, last)]:
        found = following.follow(line)
        if isinstance(found, Hole):
            numbers = range(found.first, found.last + 1)
            found = [following.follow(told(number)) for number in numbers]
        taken += [one.number for one in (found if isinstance(found, list) else [found]) if one]
    assert taken == list(range(1, last + 1))
