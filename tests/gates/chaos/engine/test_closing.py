"""A scenario closes once: with its own slot, and as passed only where nothing that it needs is missing."""

from dataclasses import replace

import pytest
from django.utils import timezone

from gates.chaos.cells.states import State
from gates.chaos.engine import closing, work
from gates.chaos.strikes.invariants import Clean
from gates.engine import LEASE, claim
from gates.models import ChaosRun, CrashPoint
from tests.gates.chaos.runs import REPLAY, started

RELATIONS = ("accounts", "orders", "executions", "positions", "position_events", "balance_events", "reconciliations")
FLAT_BOOKS = State({name: {} for name in RELATIONS}, ())
HELD = replace(FLAT_BOOKS, ledger=FLAT_BOOKS.ledger | {"positions": {"p": {"position_id": "p", "status": "open"}}})


def test_a_scenario_whose_slot_another_holds_stays_open_until_it_is_filled(desk_target):
    run = started(desk_target, REPLAY)
    scenario, now = run.scenarios.get(), timezone.now()
    assert claim(scenario.slot_id, worker="another", now=now)
    closing.close_scenario(scenario, worker="w", now=now, reason="none")
    scenario.refresh_from_db()
    assert scenario.phase == "baseline"
    closing.close_scenario(scenario, worker="w", now=now + LEASE * 2, reason="none")
    scenario.refresh_from_db()
    assert (scenario.phase, run.slots.get().verdict) == ("done", "inconclusive")


@pytest.mark.parametrize(("recovery", "verdict"), [(None, "inconclusive"), ({"silent": True}, "passed")])
def test_a_pass_needs_the_recovery_from_each_state_that_a_kill_left_to_be_struck_unless_it_sends_nothing(
    desk_target, recovery, verdict
):
    run = started(desk_target, REPLAY, depth=2)
    done = {"operation": "replay", "point": "ledger:request:1:BEGIN", "position": 0, "receipt": {}, "phase": "done"}
    done |= {"scenario": run.scenarios.get(), "strike": "kill before", "fault": "kill before", "verdict": "passed"}
    first = CrashPoint.objects.create(number=1, label="ledger: BEGIN", state_after_kill="a", **done)
    CrashPoint.objects.create(number=2, first=first, then_point="p", then_strike="kill before", **done)
    CrashPoint.objects.create(number=3, label="ledger: COMMIT", state_after_kill="b", recovery=recovery, **done)
    work.move_scenario(first.scenario_id, "armed", now=timezone.now())
    closing.close_scenarios(run.pk, worker="w", now=timezone.now())
    result = run.slots.get().result
    said = "The recovery from state b, left by kill before at ledger: COMMIT (replay), was never struck."
    assert (result.verdict, result.reason) == (verdict, "" if recovery else said)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(("end", "verdict"), [(HELD, "inconclusive"), (FLAT_BOOKS, "passed")])
def test_an_operation_that_changes_the_books_and_was_never_struck_is_missing_from_a_pass(
    desk_target, end, verdict, beside
):
    run = started(desk_target, "database_deadlock")
    scenario, now = run.scenarios.get(), timezone.now()
    for operation in ("open", "close"):
        clean = Clean(FLAT_BOOKS, end).shape()
        sent = [{"direction": "request", "label": label} for label in ("ledger: BEGIN", *["ledger: EXECUTE book"] * 2)]
        recorded = {"messages": sent, "background": [], "took_ms": 1, "recorded_at": now}
        scenario.baselines.create(operation=operation, clean=clean, **recorded)
    done = {"operation": "open", "point": "ledger:request:1:INSERT", "position": 0, "receipt": {}, "phase": "done"}
    scenario.crash_points.create(number=1, label="l", strike="deadlock", fault="deadlock", verdict="passed", **done)
    if beside:  # any message is good for a delay: it says nothing of statements that write
        done |= {"operation": "close", "strike": "delay", "fault": "delay"}
        scenario.crash_points.create(number=2, label="l", verdict="passed", **done)
    work.move_scenario(scenario.pk, "armed", now=now)
    closing.close_scenarios(run.pk, worker="w", now=now)
    result = run.slots.get().result
    assert result.verdict == verdict
    missing = (
        "in close, which changes positions: none of 'ledger: BEGIN', 'ledger: EXECUTE book' is one that it strikes"
    )
    assert (missing in result.reason) is (verdict == "inconclusive")


@pytest.mark.parametrize(
    ("struck", "exact", "verdict"),
    [("one", "another", "inconclusive"), ("", "", "inconclusive"), ("one", "one", "passed")],
)
def test_the_recovery_from_a_state_that_is_not_exactly_like_a_struck_one_is_missing_from_a_pass(
    desk_target, struck, exact, verdict
):
    run = started(desk_target, REPLAY, depth=2)
    done = {"operation": "replay", "point": "ledger:request:1:BEGIN", "position": 0, "receipt": {}, "phase": "done"}
    done |= {"scenario": run.scenarios.get(), "strike": "kill before", "fault": "kill before", "verdict": "passed"}
    done |= {"state_after_kill": "alike"}
    first = CrashPoint.objects.create(number=1, label="ledger: BEGIN", exact=struck, **done)
    CrashPoint.objects.create(number=2, first=first, then_point="p", then_strike="kill before", **done)
    CrashPoint.objects.create(number=3, label="ledger: COMMIT", exact=exact, **done)
    work.move_scenario(first.scenario_id, "armed", now=timezone.now())
    closing.close_scenarios(run.pk, worker="w", now=timezone.now())
    result = run.slots.get().result
    said = "The recovery from state alike, left by kill before at ledger: COMMIT (replay), was never struck."
    assert (result.verdict, result.reason) == (verdict, "" if verdict == "passed" else said)


OWN = {"name": "never_sent", "operation": "open", "strike": "lose the answer", "at": "ledger: CALL open_position"}


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "database_deadlock",
            {},
            "No strike had a message to hit in open, which changes positions: none of",
        ),
        (
            "database_deadlock",
            {"point": "ledger:request:1:COMMIT"},
            "none of this name was recorded.",
        ),
        ("never_sent", {}, "of the scenario name one of those of open: 'ledger: BEGIN', 'ledger: EXECUTE book'."),
    ],
)
def test_a_scenario_without_a_single_strike_says_what_there_was_to_hit(desk_target, name, options, said):
    desk_target.spec |= {"scenarios": [OWN]}
    desk_target.save()
    run = started(desk_target, name, **options)
    scenario, now = run.scenarios.get(), timezone.now()
    sent = [{"direction": "request", "label": label} for label in ("ledger: BEGIN", "ledger: EXECUTE book")]
    clean = Clean(FLAT_BOOKS, HELD).shape()
    recorded = {"messages": sent, "background": [], "took_ms": 1, "recorded_at": now}
    scenario.baselines.create(operation="open", clean=clean, **recorded)
    work.move_scenario(scenario.pk, "armed", now=now)
    closing.close_scenarios(run.pk, worker="w", now=now)
    result = run.slots.get().result
    assert (result.verdict, said in result.reason) == ("inconclusive", True), result.reason


def test_every_word_that_narrows_a_run_makes_it_a_part_of_the_gate():
    words = [field.name for field in ChaosRun._meta.fields if field.name.startswith("only_")]
    assert len(words) >= 4
    assert [word for word in words if not ChaosRun(**{word: "one"}).is_narrowed] == []
    assert not ChaosRun(depth=2, sampled=1).is_narrowed


def test_of_a_run_that_was_narrowed_nothing_else_is_missing(desk_target):
    run = started(desk_target, "database_deadlock", operation="open")
    scenario, now = run.scenarios.get(), timezone.now()
    recorded = {"messages": [], "background": [], "took_ms": 1, "recorded_at": now}
    scenario.baselines.create(operation="close", clean=Clean(FLAT_BOOKS, HELD).shape(), **recorded)
    done = {"operation": "open", "point": "ledger:request:1:INSERT", "position": 0, "receipt": {}, "phase": "done"}
    scenario.crash_points.create(number=1, label="l", strike="deadlock", fault="deadlock", verdict="passed", **done)
    work.move_scenario(scenario.pk, "armed", now=now)
    closing.close_scenarios(run.pk, worker="w", now=now)
    assert run.slots.get().result.verdict == "passed"
