"""Slow is what is beyond the target's own timeouts, and whether it was is seen and not supposed."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.chaos.baseline import Recording
from gates.chaos.cells.target import Answer
from gates.chaos.engine import closing
from gates.chaos.messages import Channel, Direction, Message, Receipt, Strike
from gates.chaos.scenarios import NAMES, SCENARIOS, scenarios_of
from gates.chaos.standing import delays_of
from gates.chaos.strikes.clean_runs import prepare, record_clean
from gates.chaos.strikes.outlasting import BEYOND, KEEPS_WAITING, Waited, gave_up, never_outlasted
from gates.chaos.strikes.settling import RECOVERY_LIMIT_S
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_until_struck
from gates.chaos.timeouts import LEAST_MS, MOST_MS, Timeouts, timeouts_of
from gates.targets.access import TargetUnreachableError
from gates.targets.rehearsal import cell_program, cell_target
from tests.gates.chaos.desk import running_desk
from tests.gates.chaos.pages import staged
from tests.gates.chaos.test_choosing import POINTS

TIMES = st.integers(LEAST_MS, MOST_MS)
SLOW = tuple(BEYOND)


def made(scenario):
    return [
        [
            (place, trial.strike, dict(trial.parameters), trial.half_open)
            for place, trial in scenario.trials(one, POINTS)
        ]
        for one in scenario.operations
    ]


def lengths(spec, name, strike):
    scenario = next(each for each in scenarios_of(spec) if each.name == name)
    return [length for aim in scenario.aims if aim.strike is strike for length in aim.parameters.values()]


def test_the_bundled_desk_is_struck_as_long_as_ever():
    assert lengths({}, "slow_network_responses", Strike.DELAY) == [1_000, 4_000]
    assert lengths({}, "slow_network_responses", Strike.STALL) == [4_000, RECOVERY_LIMIT_S * 1000]
    assert lengths({}, "slow_database_queries", Strike.DELAY) == [500, 11_000]
    assert lengths({}, "slow_database_queries", Strike.LOCK_HELD) == [1_000, 6_000]
    assert [made(each) for each in scenarios_of(cell_program())] == [made(each) for each in SCENARIOS]


@settings(deadline=None)  # a busy machine is no finding
@given(TIMES, TIMES, TIMES)
def test_each_kind_is_below_and_beyond_the_timeout_and_all_else_as_for_the_bundled_desk(broker_ms, ledger_ms, lock_ms):
    spec = {"chaos": {"timeouts": {"broker_ms": broker_ms, "ledger_ms": ledger_ms, "lock_ms": lock_ms}}}
    for timeout_ms, name, strike in (
        (broker_ms, "slow_network_responses", Strike.DELAY),
        (ledger_ms, "slow_database_queries", Strike.DELAY),
        (lock_ms, "slow_database_queries", Strike.LOCK_HELD),
    ):
        below, beyond = lengths(spec, name, strike)
        assert 0 < below < timeout_ms < beyond
        assert beyond - timeout_ms >= timeout_ms // 10
    for own, bundled in zip(scenarios_of(spec), SCENARIOS, strict=True):
        assert (own.name, own.operations, own.title) == (bundled.name, bundled.operations, bundled.title)
        places = [[strike[:2] for strike in each] for each in made(own)]
        assert places == [[strike[:2] for strike in each] for each in made(bundled)]
        assert own.name in SLOW or made(own) == made(bundled)


@pytest.mark.parametrize("said", [{"broker_ms": 499}, {"lock_ms": 60_001}, {"ledger_ms": "5000"}, {"ledger_ms": True}])
def test_a_timeout_that_cannot_be_is_refused_in_a_sentence(said):
    with pytest.raises(TargetUnreachableError, match=f"{next(iter(said))} must be a whole number of milliseconds from"):
        scenarios_of({"chaos": {"timeouts": said}})


def test_an_unknown_timeout_is_refused_and_a_part_of_them_is_enough():
    with pytest.raises(TargetUnreachableError, match="takes broker_ms, ledger_ms, lock_ms, and nothing else"):
        timeouts_of({"chaos": {"timeouts": {"http_ms": 5_000}}})
    assert timeouts_of({"chaos": {"timeouts": {"broker_ms": 5_000}}}) == Timeouts(broker_ms=5_000)
    assert timeouts_of({}) == timeouts_of({"chaos": {}}) == Timeouts()


def waited(strike, length_ms, ended):
    return Waited(strike, f"{strike} ({length_ms})", length_ms, ended)


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_that_reached_no_timeout_says_so_and_one_strike_that_did_is_enough(name):
    short = [waited(strike, 500, "it hung up") for strike in BEYOND.get(name, {})]
    long = [waited(strike, 4_000, "") for strike in BEYOND.get(name, {})]
    assert never_outlasted(name, []) == ""
    for strike in BEYOND.get(name, {}):
        others = [waited(other, 11_000, "it hung up") for other in KEEPS_WAITING if other is not strike]
        said = never_outlasted(name, others)
        assert said.startswith(f"The strike {strike.value!r} was made at no message: ")
        assert said.endswith("CALL or a function." if strike is Strike.LOCK_HELD else "that it is given.")
    for strike, key in BEYOND.get(name, {}).items():
        others = [waited(each, 4_000, "it hung up") for each in BEYOND[name] if each is not strike]
        said = never_outlasted(name, [*short, *long, *others])
        assert said.startswith(f"No {strike} (4000) outlasted a timeout of the target: say its {key} in")
        assert never_outlasted(name, [*short, *long, *others, waited(strike, 4_000, "it hung up")]) == ""


def message(direction, fingerprint, at_s, outcome=""):
    return Message(Channel.LEDGER, direction, fingerprint, 1, f"ledger: {fingerprint}", at_s, 1, outcome)


STRUCK = message(Direction.REQUEST, "UPDATE orders", 10.0)
DONE, NOT_DONE, NO_ANSWER = Answer(200, {}, 1.0), Answer(503, {}, 1.0), Answer(None, {}, 1.0)


def ended(strike, proof, *passed, answer=DONE, answered_s=20.0):
    recording = Recording((STRUCK, *passed), Counter())
    return gave_up(Receipt(strike, STRUCK, 20.0, proof), recording, answer, answered_s=answered_s)


def test_a_target_gives_up_by_hanging_up_cancelling_or_saying_that_it_is_not_done():
    delay = {"delay_ms": 4_000, "target_hung_up": False}
    assert ended(Strike.DELAY, delay) == ""
    assert ended(Strike.DELAY, delay | {"target_hung_up": True}) == "it hung up"
    cancel = [message(Direction.REQUEST, "CANCEL", at_s) for at_s in (9.0, 13.0, 15.0)]
    assert [bool(ended(Strike.DELAY, delay, each)) for each in cancel] == [False, True, False]
    assert ended(Strike.DELAY, delay, answer=NOT_DONE, answered_s=13.0) == "it answered 503 meanwhile"
    assert ended(Strike.DELAY, delay, answer=NOT_DONE, answered_s=14.1) == ""
    assert ended(Strike.DELAY, delay, answer=NO_ANSWER, answered_s=13.0) == ""  # our own limit, not the target's
    assert ended(Strike.DELAY, delay, answer=DONE, answered_s=11.0) == ""  # it never waited for that message
    assert ended(Strike.RESET, {"target_hung_up": True}) == ""


@pytest.mark.parametrize(
    ("outcome", "at_s", "words"),
    [
        ("ERROR 55P03 E", 14.0, "its request was refused: ERROR 55P03"),
        ("ERROR 57014 I", 14.0, "its request was refused: ERROR 57014"),
        ("503", 14.0, "its request was refused: 503"),
        ("UPDATE 1", 14.0, ""),  # it did not wait for the lock at all
        ("ERROR 23505", 14.0, ""),
        ("ERROR 55P03", 17.0, ""),  # not while the lock was held
    ],
)
def test_a_lock_is_outlasted_where_its_statement_is_refused_while_it_is_held(outcome, at_s, words):
    answer = message(Direction.ANSWER, "UPDATE orders", at_s, outcome)
    assert ended(Strike.LOCK_HELD, {"lock_ms": 6_000, "target_hung_up": False}, answer) == words


@pytest.mark.django_db
@pytest.mark.parametrize(("ended", "verdict"), [("it hung up", "passed"), ("", "inconclusive")])
def test_a_scenario_closes_as_passed_only_where_a_strike_outlasted_a_timeout(ended, verdict):
    scenario = staged.staged_run().scenarios.get(name="slow_network_responses")
    for length_ms, seen in ((1_000, ""), (4_000, ""), (4_000, ended)):
        receipt = {"proof": {"delay_ms": length_ms}, "gave_up": seen}
        staged.strike(scenario, 7, "delay", parameters={"delay_ms": length_ms}, receipt=receipt)
    closing.close_scenario(scenario, worker="w", now=staged.START)
    scenario.refresh_from_db()
    assert scenario.slot.verdict == verdict
    assert scenario.reason.startswith("No delay outlasted a timeout" if verdict == "inconclusive" else "")
    short, long = delays_of(scenario)
    assert (short["length_ms"], short["strikes"], short["gave_up"]) == (1_000, 1, 0)
    assert (long["length_ms"], long["strikes"], long["gave_up"]) == (4_000, 2, int(bool(ended)))


async def longest(spec, folder):
    """The longest delay of the broker's answer to an order and the longest lock, each made once; their receipts."""
    chosen = (
        ("slow_network_responses", Strike.DELAY, "POST orders answered"),
        (
            "slow_database_queries",
            Strike.LOCK_HELD,
            "INSERT INTO wartest.orders",
        ),
    )
    async with running_desk(spec, folder) as cell:
        clean_run, results = await record_clean(cell, "open"), []
        for name, strike, label in chosen:
            scenario = next(each for each in scenarios_of(spec) if each.name == name)
            trials = scenario.trials("open", clean_run.baseline.points)
            wanted = [trial for place, trial in trials if trial.strike is strike and label in place.label]
            trial = max(wanted, key=lambda each: each.lasting_s)
            cell.operation = "open"
            await prepare(cell, "open")
            results.append(await try_until_struck(cell, trial, clean_run.clean, Unwritten()))
        return results


def test_the_receipt_of_a_strike_beyond_a_timeout_says_how_the_desk_gave_up(postgres_server, tmp_path):
    spec = cell_target(postgres_server.create_database("desk"))
    late, locked = asyncio.run(longest(spec, tmp_path))
    assert (late.verdict, late.receipt["gave_up"]) == ("passed", "it hung up"), late.reason
    assert late.receipt["proof"]["target_hung_up"] is True
    assert (locked.verdict, locked.receipt["gave_up"]) == ("passed", "its request was refused: ERROR 55P03")
