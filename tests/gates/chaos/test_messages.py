import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.chaos.faults import WIRE_FAULTS, Delay, KillAfter, fault_of, parameters
from gates.chaos.messages import Channel, Direction, Message, Point, Receipt, Strike
from gates.chaos.proxies.events import Closed, Held, Missed, Refused, Struck, event_of, shape_of

POINTS = st.builds(
    Point, st.sampled_from(Channel), st.sampled_from(Direction), st.text(min_size=1), st.integers(1, 10**6)
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(Channel),
    st.sampled_from(Direction),
    st.text(min_size=1),
    st.integers(1, 10**6),
    st.text(),
    st.floats(0, 1e9),
    st.integers(1),
    st.text(),
)


@given(POINTS)
def test_a_point_written_on_the_command_line_is_read_back_the_same(point: Point):
    assert Point.parse(str(point)) == point


def test_a_point_reads_as_words():
    assert str(Point(Channel.LEDGER, Direction.REQUEST, "COMMIT", 2)) == "ledger:request:2:COMMIT"


@pytest.mark.parametrize("text", ["", "COMMIT", "ledger:request:0:COMMIT", "ledger:request:1:", "moon:request:1:X"])
def test_what_is_no_point_is_refused_in_a_sentence(text: str):
    with pytest.raises(ValueError, match="is no crash point"):
        Point.parse(text)


@given(MESSAGES, st.sampled_from(Strike))
def test_every_event_comes_over_the_control_socket_as_it_was(message: Message, strike: Strike):
    receipt = Receipt(strike, message, 1.5, {"pid": 7, "signal": "SIGKILL"})
    for event in (
        Struck(receipt),
        Held(3, strike, message, 42),
        Missed(strike, None, "no answer"),
        Missed(strike, message, "no answer"),
        Refused("40P01", 2, 1.25),
        Closed(2, "random bytes"),
    ):
        assert event_of(shape_of(event)) == event


def test_a_fault_is_made_again_from_its_name_and_parameters():
    for fault in (Delay(delay_ms=250), KillAfter()):
        assert fault_of(fault.strike, parameters(fault)) == fault
    assert len({kind.strike for kind in WIRE_FAULTS}) == len(WIRE_FAULTS)


@pytest.mark.parametrize(
    ("strike", "given_parameters"),
    [("delay", {}), ("delay", {"delay_ms": 0}), ("delay", {"delay_ms": True}), ("earthquake", {})],
)
def test_a_fault_that_makes_no_sense_is_refused_in_a_sentence(strike: str, given_parameters: dict[str, int]):
    with pytest.raises(ValueError, match=r"wrong|must be|no strike"):
        fault_of(strike, given_parameters)
