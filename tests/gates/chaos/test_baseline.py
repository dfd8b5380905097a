from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.chaos.baseline import (
    Recording,
    Script,
    absolute,
    agreeing,
    baseline,
    kind_of,
    same_beginning,
    wrongly_struck,
)
from gates.chaos.messages import Channel, Direction, Message, Point


def messages(*fingerprints, already=()):
    """Messages in order of time; `already` have passed before the operation."""
    seen = Counter()
    found = []
    for at_s, fingerprint in enumerate((*already, *fingerprints)):
        seen[fingerprint] += 1
        found.append(
            Message(
                Channel.LEDGER, Direction.REQUEST, fingerprint, seen[fingerprint], f"ledger: {fingerprint}", at_s, 1
            )
        )
    return found


def recorded(*fingerprints, already=()):
    before = messages(already=already)
    return Recording.since(Counter(map(kind_of, before)), messages(*fingerprints, already=already))


def names(rows):
    return [(row.point.fingerprint, row.point.occurrence) for row in rows]


def test_a_crash_point_is_what_both_recordings_hold_in_the_order_of_the_first():
    found = baseline([recorded("BEGIN", "INSERT", "COMMIT"), recorded("BEGIN", "COMMIT", "INSERT")])
    assert names(found.points) == [("BEGIN", 1), ("INSERT", 1), ("COMMIT", 1)]
    assert found.background == ()


def test_what_one_recording_holds_alone_is_background_and_is_listed():
    found = baseline([recorded("BEGIN", "COMMIT", "poll"), recorded("BEGIN", "COMMIT", "COMMIT")])
    assert names(found.points) == [("BEGIN", 1), ("COMMIT", 1)]
    assert sorted(names(found.background)) == [("COMMIT", 2), ("poll", 1)]


def test_what_passed_before_the_operation_does_not_shift_its_points():
    first = recorded("COMMIT", "COMMIT", already=("COMMIT",) * 3)
    second = recorded("COMMIT", "COMMIT", already=("COMMIT",) * 5)
    found = baseline([first, second])
    assert names(found.points) == [("COMMIT", 1), ("COMMIT", 2)]
    assert absolute(found.points[1].point, first.known).occurrence == 5
    assert absolute(found.points[1].point, second.known).occurrence == 7


def test_one_recording_is_not_enough():
    with pytest.raises(ValueError, match="two recordings"):
        baseline([recorded("BEGIN")])


def test_a_point_reads_back_from_the_command_line():
    point = Point(Channel.BROKER, Direction.ANSWER, "POST orders: {price}", 2)
    assert Point.parse(str(point)) == point


OPEN = ("BEGIN", "INSERT orders", "COMMIT", "GET since", "BEGIN", "INSERT executions", "COMMIT")
POLL = ("GET since", "BEGIN", "SELECT doubts", "COMMIT")


def struck_at(point, *fingerprints, clean=OPEN):
    """What is said of a strike at the point's occurrence, in a run that sends all this."""
    script = baseline([recorded(*clean), recorded(*clean, "heartbeat")]).script
    run = recorded(*fingerprints, already=POLL)
    return wrongly_struck(script, run.until(run.points()[Point(Channel.LEDGER, Direction.REQUEST, *point)]))


def test_a_strike_at_the_message_of_the_clean_run_is_exact():
    for number, fingerprint in enumerate(OPEN):
        assert struck_at((fingerprint, OPEN[: number + 1].count(fingerprint)), *OPEN) == ""


def test_a_begin_of_the_background_that_passes_before_the_operation_makes_its_first_begin_the_wrong_second():
    said = struck_at(("BEGIN", 2), "BEGIN", *POLL[2:], *OPEN)
    assert "message 2 since the operation was asked for was request SELECT doubts" in said
    assert "where it sends request INSERT orders" in said
    assert "wrong message was struck" in struck_at(("BEGIN", 2), "BEGIN", *OPEN)


def test_what_came_alone_in_a_clean_run_shifts_nothing_and_what_never_came_there_is_not_trusted():
    assert struck_at(("COMMIT", 1), "heartbeat", "BEGIN", "heartbeat", "INSERT orders", "COMMIT") == ""
    assert "was request SELECT doubts" in struck_at(("BEGIN", 1), "SELECT doubts", "BEGIN")


def test_a_connection_that_a_pool_opens_or_not_shifts_nothing_unless_it_is_struck_itself():
    opened = ("CONNECT", *OPEN)
    assert struck_at(("COMMIT", 2), *OPEN, clean=opened) == ""
    assert struck_at(("COMMIT", 2), *OPEN[:4], "CONNECT", *OPEN[4:]) == ""
    assert struck_at(("CONNECT", 1), *opened, clean=opened) == ""
    assert "where it sends request CONNECT" in struck_at(("CONNECT", 1), *OPEN[:4], "CONNECT", clean=opened)
    assert "was request SELECT doubts" in struck_at(("BEGIN", 1), "CONNECT", "SELECT doubts", "BEGIN")


def test_a_strike_that_was_not_recorded_or_has_no_clean_order_is_not_shown_to_be_exact():
    run = recorded(*OPEN)
    begin = run.messages[0]
    assert recorded("COMMIT").until(begin) == ()
    assert "not among what passed" in wrongly_struck(baseline([run, run]).script, ())
    assert "wrong message was struck" in wrongly_struck(Script(), run.until(begin))


def test_clean_runs_agree_once_two_hold_the_same_without_a_message_of_the_background_in_between():
    early, late = recorded(*POLL, *OPEN), recorded(*OPEN[:3], *POLL, *OPEN[3:])
    assert agreeing([recorded(*OPEN), early, late]) is None
    once, again = recorded(*OPEN, "SELECT doubts"), recorded("heartbeat", *OPEN)
    assert agreeing([early, once, late, again]) == (once, again)


def test_recoveries_agree_where_one_is_how_the_other_begins_and_what_comes_behind_is_background():
    short, long = recorded(*OPEN, *POLL), recorded(*OPEN, *POLL, *POLL)
    shifted = recorded(*OPEN[:3], *POLL, *OPEN[3:])
    assert agreeing([short, shifted], same_beginning) is None
    first, second = agreeing([shifted, short, long], same_beginning)
    assert (first, second) == (short, long)
    found = baseline([first, second])
    assert len(found.points) == len(OPEN) + len(POLL)
    assert names(found.background) == [("GET since", 3), ("BEGIN", 4), ("SELECT doubts", 2), ("COMMIT", 4)]


def test_an_order_is_read_back_as_it_was_written_down():
    script = baseline([recorded(*OPEN), recorded(*OPEN, "heartbeat")]).script
    assert Script.of(script.shape()) == script
    assert Script.of({}) == Script()


@st.composite
def struck_runs(draw):
    """An operation of a few transactions, a run of it with polls in between, and the number of the message struck."""
    count = draw(st.integers(1, 4))
    parts = [("GET since",) * draw(st.integers(0, 1)) + ("BEGIN", f"INSERT {n}", "COMMIT") for n in range(count)]
    polls = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    run = []
    for part, times in zip(parts, polls, strict=True):
        run += [(name, False) for name in POLL * times] + [(name, True) for name in part]
    clean = [name for part in parts for name in part]
    return clean, run, draw(st.integers(0, len(clean) - 1))


@given(struck_runs())
def test_a_strike_is_exact_only_where_what_had_passed_is_what_passes_before_it_in_the_clean_run(drawn):
    """A poll that has just begun like the operation goes on is the same moment, whoever sent the message."""
    clean, run, place = drawn
    occurrence = clean[: place + 1].count(clean[place])
    struck = [number for number, (name, _) in enumerate(run) if name == clean[place]][occurrence - 1]
    said = struck_at((clean[place], occurrence), *(name for name, _ in run), clean=clean)
    until, owns = run[: struck + 1], [name for name, own in run[: struck + 1] if own]
    if len(owns) == len(until):
        assert said == ""
        assert len(owns) == place + 1
    elif not said:
        begun = [name for name, own in until if not own]
        assert not run[struck][1]
        assert owns + begun == clean[: place + 1]
        assert begun == list(POLL[:2][: len(begun)])


ORDER = [kind_of(message) for message in messages("SELECT", "BEGIN", "COMMIT")]


@pytest.mark.parametrize(
    ("passed", "besides"),
    [
        (("SELECT", "BEGIN", "COMMIT"), False),
        (("SELECT",), False),
        (("SELECT", "SELECT", "BEGIN", "COMMIT"), True),  # sent again, or the first was somebody else's
        (("SELECT", "BEGIN", "SELECT", "COMMIT"), False),  # what follows it has not passed again
    ],
)
def test_an_operation_that_is_whole_without_the_message_struck_may_not_have_been_struck(passed, besides):
    recording = recorded(*passed, already=("SELECT",))
    assert recording.holds_besides(recording.messages[0], ORDER) is besides
    assert not recording.holds_besides(recording.messages[0], ())
