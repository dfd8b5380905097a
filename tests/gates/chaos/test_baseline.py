from collections import Counter

import pytest

from gates.chaos.baseline import Recording, absolute, baseline
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
    return Recording.since(before, messages(*fingerprints, already=already))


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
