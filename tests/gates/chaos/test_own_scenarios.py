"""A user's own scenarios: read from a description, struck in a real cell, and Chaos Toolkit experiments among them."""

import asyncio
import json
from contextlib import suppress

import psutil
import pytest

from audits.verdicts import Verdict
from gates.chaos.baseline import CrashPoint
from gates.chaos.criteria import ScenarioSeen, chaos_criteria
from gates.chaos.messages import Channel, Direction, Point, Strike
from gates.chaos.scenarios import NAMES, scenarios_of
from gates.chaos.scenarios.own import own_scenarios
from gates.chaos.strikes.clean_runs import record_clean
from gates.chaos.strikes.experiments import unproven
from gates.chaos.strikes.recovery import Result, demand_end
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_once, try_until_struck
from gates.detection.cells import desk_cell
from gates.targets.access import TargetUnreachableError

BEGIN = CrashPoint(Point(Channel.LEDGER, Direction.REQUEST, "BEGIN", 1), "ledger: BEGIN", 0)
POST = CrashPoint(Point(Channel.BROKER, Direction.REQUEST, "POST orders", 1), "broker: POST orders", 1)
POSTED = CrashPoint(Point(Channel.BROKER, Direction.ANSWER, "POST orders", 1), "broker: POST orders answered 201", 2)
MESSAGES = (BEGIN, POST, POSTED)
ONE = {"name": "answer_lost", "operation": "open", "strike": "lose the answer"}


def only(table):
    (scenario,) = own_scenarios({"scenarios": [table]})
    return scenario


def struck(table):
    return [place for place, _ in only(table).trials("open", MESSAGES)]


def test_a_strike_without_a_place_is_made_at_every_message():
    assert struck(ONE) == list(MESSAGES)


def test_a_label_narrows_the_messages_and_a_point_names_one():
    assert struck(ONE | {"at": "broker: POST orders"}) == [POST, POSTED]
    assert struck(ONE | {"point": str(POSTED.point)}) == [POSTED]


def test_another_hand_on_the_ledger_strikes_its_requests_only():
    assert struck({"name": "locked", "operation": "open", "strike": "lock held"}) == [BEGIN]


def test_an_experiment_begins_at_the_first_message():
    table = {"name": "paused", "operation": "open", "experiment": "/srv/desk/pause.json", "limit_ms": 3000}
    ((place, trial),) = only(table).trials("open", MESSAGES)
    assert (place, trial.strike, trial.lasting_s) == (BEGIN, Strike.EXPERIMENT, 3.0)


def test_own_scenarios_stand_behind_the_twelve():
    assert [each.name for each in scenarios_of({"scenarios": [ONE]})] == [*NAMES, "answer_lost"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("open", "must be a table"),
        ({}, "needs a name of 3 to 40"),
        (ONE | {"name": "Answer lost"}, "needs a name of 3 to 40"),
        (ONE | {"name": NAMES[0]}, "is taken already"),
        (ONE | {"operation": "opne"}, "needs an operation: one of open, close"),
        (ONE | {"strike": "hit it"}, "needs a strike: one of kill before"),
        (ONE | {"strike": "stale look-up"}, "needs a strike"),
        (ONE | {"strike": "delay"}, "parameters of delay are wrong"),
        (ONE | {"strike": "delay", "parameters": {"delay_ms": -1}}, "delay_ms must be a whole number"),
        (ONE | {"strike": "lock held", "parameters": {"lock_ms": 0.5}}, "takes lock_ms"),
        (ONE | {"parameters": [1]}, "parameters must be a table"),
        (ONE | {"at": "broker", "point": "ledger:request:1:BEGIN"}, "both at and point"),
        (ONE | {"point": "nowhere"}, "number 1"),
        (ONE | {"expectation": "fine"}, 'must be "done" or "not done"'),
        (ONE | {"where": "x"}, "unknown key 'where'"),
        ({"name": "paused", "operation": "open", "experiment": "pause.json"}, "the whole path"),
        (ONE | {"experiment": "/srv/pause.json"}, "both experiment and strike"),
        ({"name": "paused", "operation": "open", "experiment": "/p.json", "limit_ms": 10**6}, "limit_ms must be"),
    ],
)
def test_what_cannot_be_followed_is_said_in_one_sentence(table, words):
    with pytest.raises(TargetUnreachableError) as said:
        own_scenarios({"scenarios": [table]}, taken=NAMES)
    assert words in str(said.value)
    assert str(said.value).count("\n") == 0


def test_two_of_one_name_are_refused():
    with pytest.raises(TargetUnreachableError, match="is taken already"):
        own_scenarios({"scenarios": [ONE, ONE]})


def passed(name, *, own=False, verdict=Verdict.PASSED):
    return ScenarioSeen(name, verdict, applicable=2, receipts=2, own=own)


def test_own_scenarios_neither_stand_for_one_of_the_twelve_nor_pass_in_silence():
    eleven = [passed(name) for name in NAMES[1:]]
    (scenarios, own, *_) = chaos_criteria([*eleven, passed("answer_lost", own=True)])
    assert (scenarios.measured, scenarios.verdict) == ("11 of 12", Verdict.INCONCLUSIVE)
    assert (own.measured, own.verdict) == ("1 of 1", Verdict.PASSED)
    all_twelve = [passed(name) for name in NAMES]
    (_, own, *_) = chaos_criteria([*all_twelve, passed("answer_lost", own=True, verdict=None)])
    assert own.verdict == Verdict.INCONCLUSIVE
    assert "answer_lost" in own.reason


def test_the_other_end_than_the_expected_one_fails():
    result = Result(verdict=Verdict.PASSED, end="not done")
    demand_end(result, "")
    assert result.verdict == Verdict.PASSED
    demand_end(result, "done")
    assert result.verdict == Verdict.FAILED
    assert result.findings[0].rule == "expectation"


ACTION = {"activity": {"type": "action", "name": "stop it"}, "status": "succeeded"}


def done_by(provider, status, **more):
    """An action that Chaos Toolkit calls a success, whatever the program or the server said."""
    activity = ACTION["activity"] | {"provider": {"type": provider}} | more
    return {"status": "completed", "run": [{"activity": activity, "status": "succeeded", "output": {"status": status}}]}


@pytest.mark.parametrize(
    ("journal", "words"),
    [
        ({"status": "completed", "steady_states": {"before": {"steady_state_met": False}}}, "steady state was not met"),
        ({"status": "failed", "deviated": False, "run": [ACTION]}, "ended as 'failed'"),
        ({"status": "completed", "deviated": False, "run": []}, "no action"),
        ({"status": "completed", "deviated": False, "run": [ACTION | {"status": "failed"}]}, "did not succeed"),
        ({"status": "completed", "deviated": False, "run": [ACTION]}, ""),
        ({"status": "failed", "deviated": True, "run": [ACTION]}, ""),
        (done_by("process", 0), ""),
        (done_by("process", 1), "did not succeed"),
        (done_by("process", 0, dry=True), "did not succeed"),
        (done_by("http", 204), ""),
        (done_by("http", 503), "did not succeed"),
        (done_by("http", None), "did not succeed"),
        (done_by("python", "anything"), ""),
        (done_by("process", 0) | {"rollbacks": done_by("process", 0)["run"]}, ""),
        (done_by("process", 0) | {"rollbacks": done_by("process", 1)["run"]}, "rollback 'stop it' did not succeed"),
        (done_by("process", 0) | {"experiment": {"rollbacks": [ACTION["activity"]]}}, "not all of its rollbacks"),
        (done_by("process", 1) | {"rollbacks": done_by("process", 1)["run"]}, "rollback 'stop it' did not succeed"),
        ({}, "ended as None"),
    ],
)
def test_a_journal_is_a_receipt_only_where_all_of_it_was_done(journal, words):
    assert words in unproven(journal)
    assert bool(words) == bool(unproven(journal))


def kill_with(signal):
    return {"type": "process", "path": "kill", "arguments": f"-{signal} ${{pid}}", "timeout": 3}


PAUSE = [
    {"type": "action", "name": "stop it", "provider": kill_with("STOP"), "pauses": {"after": 0.4}},
    {"type": "action", "name": "let it go on", "provider": kill_with("CONT")},
]
KILL = [{"type": "action", "name": "kill it", "provider": kill_with("KILL")}]


def experiment(folder, name, method, *, well=200):
    ready = {"type": "http", "url": "${ready}", "timeout": 3}
    told = {
        "title": name,
        "description": "An experiment on one process.",
        "configuration": {
            "pid": {"type": "env", "key": "WARTEST_TARGET_PID"},
            "ready": {"type": "env", "key": "WARTEST_READY_URL"},
        },
        "steady-state-hypothesis": {
            "title": "It is well",
            "probes": [{"type": "probe", "name": "well", "tolerance": well, "provider": ready}],
        },
        "method": method,
        "rollbacks": [{"type": "action", "name": "let it go on anyway", "provider": kill_with("CONT")}],
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(told))
    return path


def strike_with(postgres_server, folder, *experiments, limit_ms=20_000, strike=try_once):
    """What each experiment comes to, one after the other in one cell of the clean desk, and what its log is said to be
    once the cell's secrets stand in it.
    """

    async def all_of_them():
        found = []
        async with desk_cell(postgres_server.url(), (), folder, number=3) as cell:
            clean_run = await record_clean(cell, "open")
            for number, path in enumerate(experiments):
                name = f"experiment_{number}"
                table = {"name": name, "operation": "open", "experiment": str(path), "limit_ms": limit_ms}
                ((_, trial),) = only(table).trials("open", clean_run.baseline.points)
                found.append(await strike(cell, trial, clean_run.clean, Unwritten()))
            cell.target.log.write_text(f"Bearer {cell.premises.simulator.token}, to {cell.ledger_url}")
            return found, cell.target.last_words()

    return asyncio.run(all_of_them())


def test_experiments_are_receipts_and_the_audit_is_the_verdict(postgres_server, tmp_path):
    paths = (
        experiment(tmp_path, "pause", PAUSE),
        experiment(tmp_path, "kill", KILL),
        experiment(tmp_path, "never-well", PAUSE, well=418),
        experiment(tmp_path, "only-looks", []),
        experiment(tmp_path, "misses", [KILL[0] | {"provider": {"type": "process", "path": "false"}}]),
        tmp_path / "absent.json",
    )
    (paused, killed, never_well, only_looks, misses, absent), said = strike_with(postgres_server, tmp_path, *paths)
    assert paused.verdict == Verdict.PASSED, paused.reason
    assert json.loads(paused.receipt["proof"]["journal"])["status"] == "completed"
    assert len(paused.receipt["proof"]["experiment_sha256"]) == 64
    # Its own steady state ends with its process: the books are right, and the experiment still says that it deviated.
    assert (killed.verdict, [found.rule for found in killed.findings]) == (Verdict.FAILED, ["expectation"])
    assert killed.receipt["proof"]["deviated"] is True
    for nothing, words in (
        (never_well, "steady state"),
        (only_looks, "no action"),
        (misses, "did not succeed"),
        (absent, "absent.json"),
    ):
        assert (nothing.verdict, nothing.receipt) == (Verdict.INCONCLUSIVE, None)
        assert words in nothing.reason
    assert said.startswith("Bearer •••, to postgresql://")
    assert ":•••@" in said


def test_an_experiment_that_never_ends_is_ended_with_all_that_it_started(postgres_server, tmp_path):
    told, script = tmp_path / "pid", tmp_path / "wait.sh"
    script.write_text(f"setsid sh -c 'echo $$ > {told}; exec sleep 300' &\nwait\n")  # in a session of its own
    waiting = {"type": "process", "path": "sh", "arguments": [str(script)]}
    path = experiment(tmp_path, "endless", [{"type": "action", "name": "wait", "provider": waiting}])
    (result,), _ = strike_with(postgres_server, tmp_path, path, limit_ms=3_000)
    assert (result.verdict, result.receipt) == (Verdict.INCONCLUSIVE, None)
    assert "limit_ms" in result.reason
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(told.read_text())).wait(20)


def failing_once(place, name):
    """An action that fails, and would succeed the second time."""
    test = {"type": "process", "path": "sh", "arguments": ["-c", f"test -e {place} || {{ touch {place}; exit 1; }}"]}
    return {"type": "action", "name": name, "provider": test}


def test_what_must_be_undone_by_hand_is_said_and_no_further_try_passes_beside_it(postgres_server, tmp_path):
    path = experiment(tmp_path, "pause", PAUSE)
    told = json.loads(path.read_text())
    told["rollbacks"].append(failing_once(tmp_path / "failed-once", "unpause"))
    path.write_text(json.dumps(told))
    (result,), _ = strike_with(postgres_server, tmp_path, path, strike=try_until_struck)
    assert (result.verdict, result.receipt, result.tries) == (Verdict.INCONCLUSIVE, None, 1)
    assert result.reason.endswith("its rollback 'unpause' did not succeed: undo by hand what it left.")
