"""Which strikes are made, what a run's criteria say of them, and where they may be made. Pure."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.verdicts import Verdict, merge
from gates.chaos.baseline import CrashPoint
from gates.chaos.criteria import ScenarioSeen, chaos_criteria
from gates.chaos.engine.sampling import MAY_NOT_APPLY, MORE, chosen
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.proxies.fingerprints import statement_label
from gates.chaos.safety import UnsafeError, demand_safe
from gates.chaos.scenarios import SCENARIOS
from gates.chaos.scenarios.scenario import writes
from gates.targets.access import TargetUnreachableError
from gates.targets.programs import read_program
from gates.targets.rehearsal import cell_program

NAMES = tuple(scenario.name for scenario in SCENARIOS)


@dataclass
class Asked:
    only_point: str = ""
    only_strike: str = ""
    only_then: str = ""
    only_operation: str = ""
    sampled: int | None = None


def place(number, channel, direction, words):
    label = f"{channel}: {words}{' acknowledged' if direction == Direction.ANSWER else ''}"
    return CrashPoint(Point(channel, direction, words, 1), label, number)


def round_trips(channel, *statements):
    ways = [(words, way) for words in statements for way in (Direction.REQUEST, Direction.ANSWER)]
    return [place(number, channel, way, words) for number, (words, way) in enumerate(ways)]


POINTS = (
    *round_trips(Channel.LEDGER, "BEGIN", "SELECT 1 FOR UPDATE", "INSERT INTO wartest.orders", "COMMIT"),
    *round_trips(Channel.BROKER, "POST orders", "GET transactions"),
)


def scenario(name):
    return next(each for each in SCENARIOS if each.name == name)


def test_a_point_that_two_operations_share_is_struck_in_the_one_that_is_asked_for():
    trials = [pair for name in ("open", "close") for pair in scenario("database_deadlock").trials(name, POINTS)]
    asked = Asked(only_point=str(trials[0][1].point), only_operation="close")
    assert {trial.operation for _, trial in chosen(trials, asked)} == {"close"}


def test_there_are_twelve_scenarios_of_different_names():
    assert len(set(NAMES)) == 12


def test_a_kill_is_made_before_and_after_each_message_and_none_twice():
    trials = scenario("kill_during_trade_close").trials("close", POINTS)
    requests = sum(each.point.direction == Direction.REQUEST for each in POINTS)
    assert len(trials) == 3 * requests  # before the request, after it (= before its answer), after its answer
    assert len({(trial.point, trial.strike) for _, trial in trials}) == len(trials)


def test_a_connection_drop_loses_every_request_and_every_answer_of_the_ledger_only():
    trials = [trial for _, trial in scenario("database_connection_drop").trials("open", POINTS)]
    assert {trial.point.channel for trial in trials} == {Channel.LEDGER}
    for strike, way in ((Strike.LOSE_REQUEST, Direction.REQUEST), (Strike.LOSE_ANSWER, Direction.ANSWER)):
        struck = [trial.point.fingerprint for trial in trials if trial.strike == strike]
        assert struck == ["BEGIN", "SELECT 1 FOR UPDATE", "INSERT INTO wartest.orders", "COMMIT"]
        assert {trial.point.direction for trial in trials if trial.strike == strike} == {way}


def test_a_deadlock_is_tried_at_statements_that_lock_rows():
    trials = [trial for _, trial in scenario("database_deadlock").trials("open", POINTS)]
    assert [trial.point.fingerprint for trial in trials] == ["SELECT 1 FOR UPDATE", "INSERT INTO wartest.orders"]


def test_a_statement_that_books_by_a_function_is_struck_as_any_other_that_writes():
    booked = (
        "CALL book_fill(?)",
        "TRUNCATE TABLE marks",
        "SELECT desk.book_fill(?)",
        "SELECT * FROM desk.book_fill(?)",
        'SELECT b.id FROM "desk"."book_fill"(?) AS b',
        "WITH booked AS (SELECT book_fill(?)) SELECT * FROM booked",
        "SELECT (book_fill(?)).*",
        "SELECT id, book_fill(?) FROM orders",
        "EXECUTE booking(?)",
        "BEGIN; SELECT * FROM desk.book_fill(?) AS result",
        "BEGIN; CALL book_fill(?)",
        "SET LOCAL lock_timeout = ?; SELECT book_fill(?)",
        "(SELECT book_fill(?))",
        "VALUES (book_fill(?))",
        "DECLARE c CURSOR FOR SELECT book_fill(?)",
        "EXPLAIN ANALYZE SELECT book_fill(?)",
        "SELECT desk.round(?)",
    )
    read = (
        "SELECT * FROM orders WHERE id = ?",
        "SELECT count(*) FROM orders",
        "SELECT pg_catalog.round(units) FROM orders",
        "BEGIN; SELECT max(id) FROM orders",
        "WITH late AS (SELECT max(id) FROM orders) SELECT coalesce(sum(units), ?) FROM late WHERE id IN (?, ?)",
    )
    labelled = [
        replace(each, label=f"ledger: {statement_label(each.point.fingerprint)}")
        for each in round_trips(Channel.LEDGER, *booked, *read)
        if each.point.direction == Direction.REQUEST
    ]
    assert [each.point.fingerprint for each in labelled if writes(each)] == list(booked)


def test_one_point_and_one_strike_can_be_asked_for_by_the_names_that_a_report_gives():
    trials = scenario("slow_network_responses").trials("open", POINTS)
    wanted = trials[1][1]
    kept = chosen(trials, Asked(only_point=str(wanted.point), only_strike=wanted.fault))
    assert [trial for _, trial in kept] == [wanted]


@settings(deadline=None)  # a busy machine is no finding
@given(st.integers(1, 30), st.sampled_from(NAMES))
def test_a_sample_is_of_every_fault_and_no_larger_than_asked(sampled, name):
    trials = scenario(name).trials("open", POINTS)
    kept = chosen(trials, Asked(sampled=sampled))
    assert {trial.fault for _, trial in kept} == {trial.fault for _, trial in trials}
    assert all(pair in trials for pair in kept)
    for fault in {trial.fault for _, trial in trials}:
        made = sum(trial.fault == fault for _, trial in trials)
        more = MORE if any(trial.fault == fault and trial.strike in MAY_NOT_APPLY for _, trial in trials) else 1
        assert sum(trial.fault == fault for _, trial in kept) == min(sampled * more, made)


def seen(name, **changes):
    return ScenarioSeen(**{"name": name, "verdict": Verdict.PASSED, "applicable": 5, "receipts": 5} | changes)


ALL = [seen(name) for name in NAMES]


def verdict(scenarios, **options):
    return merge(criterion.verdict for criterion in chaos_criteria(scenarios, **options))


def test_twelve_of_twelve_with_receipts_pass():
    assert verdict(ALL) == Verdict.PASSED


@pytest.mark.parametrize(
    "other",
    [
        seen(NAMES[0], verdict=None),
        seen(NAMES[0], verdict=Verdict.INCONCLUSIVE),
        seen(NAMES[0], unproven=1),
        seen(NAMES[0], receipts=4),
        seen(NAMES[0], applicable=0, receipts=0),
    ],
)
def test_a_scenario_without_evidence_shuts_the_gate(other):
    assert verdict([other, *ALL[1:]]) == Verdict.INCONCLUSIVE


@pytest.mark.parametrize("kind", ["corrupted", "unrecovered", "failed_audit"])
def test_a_strike_that_fell_short_fails(kind):
    assert verdict([seen(NAMES[0], verdict=Verdict.FAILED, **{kind: 1}), *ALL[1:]]) == Verdict.FAILED


def test_eleven_scenarios_none_and_a_part_never_pass():
    assert verdict(ALL[1:]) == Verdict.INCONCLUSIVE
    assert verdict([]) == Verdict.INCONCLUSIVE
    assert verdict(ALL, partial="It is a part.") == Verdict.INCONCLUSIVE


DESK = read_program(cell_program())


def test_chaos_is_let_onto_this_machine_and_onto_hosts_that_are_named():
    demand_safe(DESK, "127.0.0.1", ())
    demand_safe(DESK, "ledger.test", ("ledger.test",))
    with pytest.raises(UnsafeError, match="name it in"):
        demand_safe(DESK, "ledger.test", ())


def test_a_live_broker_is_refused_whatever_the_settings_say():
    live = cell_program()
    live["process"]["environment"] |= {"OANDA_URL": "https://API-fxtrade.oanda.com"}
    with pytest.raises(UnsafeError, match="live broker"):
        demand_safe(read_program(live), "127.0.0.1", ("api-fxtrade.oanda.com",))
    with pytest.raises(UnsafeError, match="live broker"):
        demand_safe(DESK, "api-fxtrade.oanda.com", ("api-fxtrade.oanda.com",))


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("process", "command", "./desk", "list of words"),
        ("process", "ready", "", "http address"),
        ("process", "ready", "http://127.0.0.1:{harbour}/", "no cell can fill"),
        ("operations", "sell", {"post": "http://127.0.0.1/"}, "is unknown"),
        ("operations", "open", "http://127.0.0.1/", "needs an address"),
    ],
)
def test_a_wrong_description_is_refused_in_words(section, key, value, words):
    spec = cell_program()
    spec[section][key] = value
    with pytest.raises(TargetUnreachableError, match=words):
        read_program(spec)
