"""The real thing, end to end: cells with real proxies, ledger, broker and desk; the engine as a process of its own."""

import sys

from django.utils import timezone

from gates import commands, reports
from gates.models import CrashPoint, Heal
from gates.rehearsal.desk.health import own_build
from tests.gates.chaos.engine.engines import LIMIT_S, cell_databases, engine_of, finished
from tests.gates.chaos.runs import REPLAY, started


def test_a_sampled_scenario_passes_on_the_clean_desk_and_nothing_is_left(desk_target, postgres_server):
    desk_target.spec |= {"build": {"value": own_build()}}
    desk_target.save()
    run = started(desk_target, REPLAY)
    engine = engine_of(run)
    assert engine.wait(LIMIT_S) == 0
    assert finished(run)
    points = CrashPoint.objects.filter(scenario__run=run)
    assert points.count() == 2
    assert {(point.verdict, point.end) for point in points} == {("passed", "done")}
    assert all(point.receipt["proof"]["signal"] == "SIGKILL" for point in points)
    assert Heal.objects.filter(healed_at=None).count() == 0
    assert Heal.objects.count() == points.count()
    assert cell_databases(postgres_server) == []
    closed = commands.close_run(run.pk, timezone.now())
    assert closed.verdict == "inconclusive"  # one scenario is a part: it never counts as the gate
    assert [line["verdict"] for line in closed.criteria if line["name"] == "scenarios"] == ["inconclusive"]
    body = reports.write(closed.pk, timezone.now()).content  # its schema is demanded
    (scenario,) = body["scenarios"]
    assert scenario["recovery"]["max_ms"] >= scenario["recovery"]["p50_ms"] > 0
    assert scenario["durable_states"]["verdicts_differ"] == 0
    assert body["chaos"]["sampled"] == 1
    assert body["chaos"]["builds"] == [body["target"]["build"]] == [own_build()]


def test_a_program_that_shows_another_build_than_the_campaigns_is_not_struck(desk_target):
    desk_target.spec |= {"build": {"value": "sha256:running"}}
    desk_target.save()
    run = started(desk_target, REPLAY)
    assert run.campaign.build == "sha256:running"
    assert engine_of(run).wait(LIMIT_S) == 0
    scenario = run.scenarios.get()
    assert (scenario.slot.verdict, scenario.crash_points.count()) == ("inconclusive", 0)
    assert f"shows the build {own_build()}, and the campaign is for sha256:running" in scenario.reason


def test_a_scenario_of_the_targets_own_is_struck_and_counted_beside_the_twelve(desk_target):
    own = {"name": "killed_as_it_answers", "operation": "reconcile", "strike": "kill after", "at": "ledger: COMMIT ack"}
    desk_target.spec |= {"scenarios": [own | {"expectation": "not done"}]}
    desk_target.save()
    run = started(desk_target, "killed_as_it_answers")
    assert engine_of(run).wait(LIMIT_S) == 0
    scenario = run.scenarios.get()
    assert (scenario.number, scenario.name) == (13, "killed_as_it_answers")
    (point,) = scenario.crash_points.all()
    assert (point.label, point.receipt["proof"]["signal"]) == ("ledger: COMMIT acknowledged", "SIGKILL")
    # A reconciliation changes no book: its only end is "done", so what was expected of it did not come.
    assert (point.verdict, [found["rule"] for found in point.findings]) == ("failed", ["expectation"])
    closed = commands.close_run(run.pk, timezone.now())
    verdicts = {line["name"]: line["verdict"] for line in closed.criteria}
    assert verdicts["the target's own scenarios"] == "failed"
    assert verdicts["scenarios"] == "inconclusive"


def test_a_scenario_whose_strikes_hit_no_message_says_which_there_are_and_is_no_evidence(desk_target):
    own = {"name": "never_sent", "operation": "reconcile", "strike": "lose the answer", "at": "ledger: CALL reconcile"}
    desk_target.spec |= {"scenarios": [own]}
    desk_target.save()
    run = started(desk_target, "never_sent")
    assert engine_of(run).wait(LIMIT_S) == 0
    scenario = run.scenarios.get()
    assert (scenario.slot.verdict, scenario.crash_points.count()) == ("inconclusive", 0)
    assert "name one of those of reconcile: " in scenario.reason
    assert "'ledger: BEGIN'" in scenario.reason


def test_a_history_that_does_not_show_the_order_yet_strikes_the_desk_and_is_waited_for(desk_target):
    run = started(desk_target, "network_drop_during_order", strike="stale look-up")
    assert engine_of(run).wait(LIMIT_S) == 0
    points = CrashPoint.objects.filter(scenario__run=run)
    assert {point.label for point in points} == {"broker: POST orders", "broker: POST orders answered 201"}
    assert {(point.applies, point.verdict, point.end) for point in points} == {(True, "passed", "done")}
    for point in points:
        proof = point.receipt["proof"]
        assert proof["lookups_answered_stale"] > 0
        assert proof["first_stale_lookup"].startswith("broker: GET ")
        assert proof["first_stale_lookup_after_ms"] > 0
        lost = point.label == "broker: POST orders answered 201"
        assert point.receipt["message"] == (point.label if lost else proof["first_stale_lookup"])


def test_a_target_that_does_not_start_makes_the_scenario_inconclusive_not_failed(desk_target):
    desk_target.spec["process"]["command"] = [sys.executable, "-c", "raise SystemExit('no desk today')"]
    desk_target.save()
    run = started(desk_target, REPLAY)
    assert engine_of(run).wait(LIMIT_S) == 0
    slot = run.slots.get()
    assert slot.verdict == "inconclusive"
    assert "Steady state not met" in slot.result.reason
    assert "no desk today" in slot.result.reason
