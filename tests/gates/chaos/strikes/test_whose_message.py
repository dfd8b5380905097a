"""Whose message was struck: what is seen while it is held, and what passes behind it."""

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.chaos.baseline import Recording, Script, baseline, kind_of
from gates.chaos.messages import Channel, Direction, Message, Strike
from gates.chaos.strikes import whose_message
from gates.chaos.strikes.whose_message import HOLD_MS, LONGEST_HOLD_MS, hold_ms
from gates.chaos.timeouts import LEAST_MS, MOST_MS

ANSWERED_S = 100.0
PATIENT_MS = 10_000
is_waited_for = partial(whose_message.is_waited_for, timeout_ms=PATIENT_MS)
HELD = {"held_ms": 1_000.0}


def recorded(*timed):
    """A recording of statements at their seconds, `(0.0, "BEGIN"), …`."""
    seen, messages = Counter(), []
    for at_s, name in timed:
        seen[name] += 1
        messages.append(Message(Channel.LEDGER, Direction.REQUEST, name, seen[name], f"ledger: {name}", at_s, 1))
    return Recording(tuple(messages), Counter())


def kinds(*names):
    return tuple((Channel.LEDGER, Direction.REQUEST, name) for name in names)


SCRIPT = Script(kinds("READ", "BEGIN", "INSERT", "COMMIT"), frozenset(kinds("PULSE")), pause_s=0.2)
FROM_THE_START = ((0.0, "READ"), (1.1, "READ"), (1.2, "BEGIN"), (1.3, "INSERT"), (1.4, "COMMIT"))


@pytest.mark.parametrize(
    ("passed", "struck"),
    [
        (FROM_THE_START, 0),  # sent again
        (((0.0, "READ"), (0.1, "BEGIN"), (0.2, "INSERT"), *((at_s + 2, name) for at_s, name in FROM_THE_START[1:])), 2),
        ((*FROM_THE_START, (ANSWERED_S + 1, "READ")), 0),  # what passes once it has answered is another's
        ((*FROM_THE_START[:1], (0.5, "PULSE"), *FROM_THE_START[1:], (1.5, "LOOK")), 0),  # kinds that are not its own
    ],
)
def test_an_operation_that_stood_still_and_went_on_from_one_of_its_messages_waited_for_the_one_struck(passed, struck):
    recording = recorded(*passed)
    assert is_waited_for(recording, recording.messages[struck], HELD, SCRIPT, answered_s=ANSWERED_S)


def test_an_operation_may_ask_again_before_a_long_delay_is_over():
    recording = recorded(*FROM_THE_START)
    assert is_waited_for(recording, recording.messages[0], {"delay_ms": 4_000.0}, SCRIPT, answered_s=ANSWERED_S)


@pytest.mark.parametrize(
    "passed",
    [
        ((0.0, "READ"), (0.9, "READ"), *FROM_THE_START[2:]),  # it went on while the message was held
        (*FROM_THE_START, (1.5, "READ")),  # one more of its kinds than it sends
        (*FROM_THE_START[:2], (1.15, "READ"), *FROM_THE_START[2:]),  # sent again twice: by whom?
        FROM_THE_START[:-1],  # it never came to its end
        FROM_THE_START[:1],
    ],
)
def test_whatever_else_passes_tells_nothing(passed):
    recording = recorded(*passed)
    assert not is_waited_for(recording, recording.messages[0], HELD, SCRIPT, answered_s=ANSWERED_S)


def test_connections_that_are_opened_on_the_way_are_no_messages_of_the_operation():
    pooled = Script((*SCRIPT.order[:1], *kinds("CONNECT"), *SCRIPT.order[1:]), SCRIPT.aside, SCRIPT.pause_s)
    recording = recorded(*FROM_THE_START[:1], (0.5, "CONNECT"), *FROM_THE_START[1:])
    for script in (SCRIPT, pooled):
        assert is_waited_for(recording, recording.messages[0], HELD, script, answered_s=ANSWERED_S)
    recording = recorded((0.0, "READ"), (0.1, "CONNECT"), (1.2, "CONNECT"), *FROM_THE_START[2:])
    assert is_waited_for(recording, recording.messages[1], HELD, pooled, answered_s=ANSWERED_S)
    assert recording.holds_besides(recording.messages[1], pooled.without_openings)
    assert kinds("CONNECT")[0] not in pooled.without_openings


def test_the_refusal_of_the_request_struck_belongs_to_it_and_any_other_answer_does_not():
    sent = recorded(*FROM_THE_START).messages
    answered = (*SCRIPT.order[:1], (Channel.LEDGER, Direction.ANSWER, "READ"), *SCRIPT.order[1:])
    script = Script(answered, SCRIPT.aside, SCRIPT.pause_s)

    def told(*occurrences):
        answers = [
            Message(Channel.LEDGER, Direction.ANSWER, "READ", number, "ledger: READ refused", at_s, 1)
            for number, at_s in occurrences
        ]
        passed = sorted((*sent, *answers), key=lambda message: message.at_s)
        recording = Recording(tuple(passed), Counter())
        return is_waited_for(recording, sent[0], HELD, script, answered_s=ANSWERED_S)

    assert told((1, 1.05), (2, 1.15))
    assert not told((3, 1.05), (2, 1.15))


def read_again(*tries):
    """The operation from its start, whose READ is struck and then answered so at these seconds, each time sent anew."""
    answer = (Channel.LEDGER, Direction.ANSWER, "READ")
    script = Script((*SCRIPT.order[:1], answer, *SCRIPT.order[1:]), SCRIPT.aside, SCRIPT.pause_s)
    messages = []
    for number, (sent_at_s, outcome, answered_at_s) in enumerate(tries, start=1):
        sent = Message(Channel.LEDGER, Direction.REQUEST, "READ", number, "ledger: READ", sent_at_s, 1)
        said = Message(Channel.LEDGER, Direction.ANSWER, "READ", number, "ledger: READ …", answered_at_s, 1, outcome)
        messages += [sent, said]
    rest = [replace(each, at_s=each.at_s + 10) for each in recorded(*FROM_THE_START[2:]).messages]
    return Recording((*messages, *rest), Counter()), script


@pytest.mark.parametrize(
    ("outcome", "told"), [("ERROR 55P03", True), ("SELECT 1", False), ("", False)], ids=["refused", "answered", "cut"]
)
def test_an_operation_may_be_refused_at_the_same_message_again_and_again_while_a_lock_stands(outcome, told):
    recording, script = read_again((0, "ERROR 55P03", 2), (3, outcome, 5), (6, outcome, 8), (9, "SELECT 1", 9.5))
    assert is_waited_for(recording, recording.messages[0], HELD, script, answered_s=ANSWERED_S) is told


@pytest.mark.parametrize(
    ("passed", "told"),
    [
        ("READ READ. BEGIN BEGIN! READ READ. BEGIN BEGIN! READ READ. BEGIN BEGIN. COMMIT COMMIT.", True),
        ("READ READ. BEGIN BEGIN! BEGIN BEGIN. COMMIT COMMIT.", True),
        ("READ READ. BEGIN BEGIN! COMMIT COMMIT.", False),  # what was refused was never asked for again
        ("READ READ. COMMIT COMMIT! READ READ. BEGIN BEGIN. COMMIT COMMIT.", False),  # no way of the operation's
        ("READ READ. COMMIT COMMIT! BEGIN BEGIN! READ READ. BEGIN BEGIN. COMMIT COMMIT.", False),
        ("READ READ. BEGIN! READ READ. BEGIN BEGIN. COMMIT COMMIT.", False),  # another's request was refused
        ("READ READ. BEGIN BEGIN! READ READ. BEGIN BEGIN.", False),  # it never came to its end
    ],
)
def test_an_operation_may_go_on_and_be_refused_farther_on_until_it_comes_to_its_end(passed, told):
    seen, messages = Counter(), []
    for second, word in enumerate(passed.split()):
        name, way = word.rstrip(".!"), Direction.ANSWER if word[-1] in ".!" else Direction.REQUEST
        seen[name, way] += 1
        outcome = "ERROR 55P03" if word.endswith("!") else ""
        at_s = second + (second > 0)  # the message struck stands for a second
        messages.append(Message(Channel.LEDGER, way, name, seen[name, way], name, at_s, 1, outcome))
    ways = (Direction.REQUEST, Direction.ANSWER)
    order = tuple((Channel.LEDGER, way, name) for name in ("READ", "BEGIN", "COMMIT") for way in ways)
    recording = Recording(tuple(messages), Counter())
    assert is_waited_for(recording, messages[0], HELD, Script(order, pause_s=0.2), answered_s=ANSWERED_S) is told


@pytest.mark.parametrize("proof", [{}, {"held_ms": HOLD_MS - 1}, {"delay_ms": 500.0}, {"reset_port": 40_000}])
def test_a_message_that_was_not_held_long_enough_tells_nothing(proof):
    recording = recorded(*FROM_THE_START)
    assert not is_waited_for(recording, recording.messages[0], proof, SCRIPT, answered_s=ANSWERED_S)


def test_an_operation_that_pauses_for_longer_by_itself_may_only_have_paused():
    recording = recorded(*FROM_THE_START)
    slow = Script(SCRIPT.order, SCRIPT.aside, pause_s=1.0)
    assert not is_waited_for(recording, recording.messages[0], HELD, slow, answered_s=ANSWERED_S)


def test_a_message_that_was_not_recorded_tells_nothing():
    recording = recorded(*FROM_THE_START)
    assert not is_waited_for(recorded(), recording.messages[0], HELD, SCRIPT, answered_s=ANSWERED_S)


@given(pause_s=st.floats(0, 60), timeout_ms=st.integers(LEAST_MS, MOST_MS))
def test_a_message_is_held_for_longer_than_the_operation_pauses_and_never_longer_than_a_client_waits(
    pause_s, timeout_ms
):
    held_ms = hold_ms(Strike.LOSE_REQUEST, Script(pause_s=pause_s), timeout_ms)
    longest_ms = min(LONGEST_HOLD_MS, timeout_ms)
    assert min(HOLD_MS, timeout_ms / 2) <= held_ms < timeout_ms
    assert held_ms > pause_s * 1000 or held_ms > longest_ms / 2


def test_an_operation_of_little_patience_is_told_by_a_shorter_stand():
    recording = recorded(*FROM_THE_START)
    script = Script(SCRIPT.order, SCRIPT.aside, pause_s=0.1)
    held = {"held_ms": hold_ms(Strike.LOSE_REQUEST, script, LEAST_MS)}
    for timeout_ms, told in ((LEAST_MS, True), (PATIENT_MS, False)):
        waits = whose_message.is_waited_for(
            recording, recording.messages[0], held, script, answered_s=ANSWERED_S, timeout_ms=timeout_ms
        )
        assert waits is told


@pytest.mark.parametrize("strike", [Strike.KILL_BEFORE, Strike.KILL_AFTER, Strike.DELAY, Strike.STALL])
def test_what_is_killed_or_held_by_its_strike_is_not_held_before(strike):
    assert hold_ms(strike, Script(), PATIENT_MS) == 0


def test_a_script_keeps_the_longest_pause_between_its_own_messages():
    one = recorded((0.0, "READ"), (0.3, "PULSE"), (0.5, "BEGIN"), (9.0, "PULSE"))
    other = recorded((5.0, "READ"), (5.2, "BEGIN"))
    script = baseline([one, other]).script
    assert script.pause_s == pytest.approx(0.5)
    assert Script.of(script.shape()) == script
    assert [kind_of(message) for message in other.messages] == list(script.order)
