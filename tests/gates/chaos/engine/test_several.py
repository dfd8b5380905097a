"""Several engines on one run, and one that stands on a machine beside the portal's and takes what is open."""

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import psutil
import pytest
from django.utils import timezone

from audits.verdicts import Verdict
from gates import commands
from gates.chaos.baseline import CrashPoint as Place
from gates.chaos.engine import posts, starting, work
from gates.chaos.messages import Point, Strike
from gates.chaos.standing import durable_states
from gates.chaos.strikes.recovery import Result
from gates.chaos.trials import Then, Trial
from gates.models import ChaosRun, CrashPoint, Heal, Target
from gates.workers import identity
from tests.gates.chaos.engine.engines import (
    LIMIT_S,
    cell_databases,
    children_of,
    engine_of,
    engines_of,
    finished,
    process_of,
    until,
)
from tests.gates.chaos.runs import REPLAY, started

ELSEWHERE = "desk-two:17:1.00:0123456789ab"
LATER = timedelta(hours=1)
ANY = ("-m", "gates.chaos", "--any")

# After its first strike an engine leaves the next one to the other, until that one has made its first.
IN_TURN = """
import os, runpy, signal
import django
django.setup()
from gates.chaos.engine import work
from gates.chaos.engine.journal import Rows
from gates.models import Heal

claim, before = work.claim_point, Rows.before

def in_turn(run_id, *, worker, **asked):
    struck, others = Heal.objects.filter(what__engine=worker), Heal.objects.exclude(what__engine=worker)
    return None if struck.exists() and not others.exists() else claim(run_id, worker=worker, **asked)

async def before_and_then(self, trial, cell):
    await before(self, trial, cell)
    {then}

work.claim_point, Rows.before = in_turn, before_and_then
runpy.run_module("gates.chaos", run_name="__main__", alter_sys=True)
"""
GOES_ON = ("-c", IN_TURN.format(then="pass"))
STANDS_STILL = ("-c", IN_TURN.format(then="os.kill(os.getpid(), signal.SIGSTOP)"))
IS_TOLD = ("-c", IN_TURN.format(then="os.kill(os.getpid(), signal.SIGTERM)"), "--any")


@contextmanager
def ending(*engines):
    """Whatever comes of a test, its engines are gone after it."""
    try:
        yield engines
    finally:
        for engine in engines:
            engine.kill()
            engine.wait(30)


def made_by(engine):
    """The strikes that an engine has made, or is making."""
    return Heal.objects.filter(what__engine__icontains=f":{engine.pid}:").order_by("pk")


def running_still(processes):
    _, alive = psutil.wait_procs(processes, timeout=60)
    return alive


def test_two_engines_share_a_run_and_strike_each_crash_point_once(desk_target, postgres_server):
    run = started(desk_target, REPLAY, "kill_during_reconciliation", cells=1)
    with ending(engine_of(run, GOES_ON), engine_of(run, GOES_ON)) as engines:
        until(lambda: all(made_by(engine).exists() for engine in engines))
        families = [child for engine in engines for child in children_of(engine.pid)]
        assert families
        assert [engine.wait(LIMIT_S) for engine in engines] == [0, 0]
    points = CrashPoint.objects.filter(scenario__run=run)
    assert points.count() == 4
    assert {(point.phase, point.verdict, point.attempt) for point in points} == {("done", "passed", 1)}
    assert all(point.heals.count() == point.receipt["tries"] for point in points)
    assert {point.worker.split(":")[1] for point in points} == {str(engine.pid) for engine in engines}
    assert [slot.verdict for slot in run.slots.all()] == ["passed", "passed"]
    assert commands.close_run(run.pk, timezone.now()).verdict == "inconclusive"  # a part never counts as the gate
    assert commands.close_run(run.pk, timezone.now()) is None
    assert not Heal.objects.filter(healed_at=None).exists()
    assert cell_databases(postgres_server) == []
    assert running_still(families) == []


def test_of_two_engines_the_one_that_lives_finishes_what_the_killed_one_had_begun(desk_target, postgres_server):
    run = started(desk_target, REPLAY, cells=1)
    with ending(engine_of(run, GOES_ON)) as (living,):
        post = until(lambda: ChaosRun.objects.exclude(worker="").first()).worker
        assert f":{living.pid}:" in post
        with ending(engine_of(run, STANDS_STILL)) as (killed,):
            until(lambda: psutil.Process(killed.pid).status() == psutil.STATUS_STOPPED)
            heal = made_by(killed).get(healed_at=None)
            family = children_of(killed.pid)
            assert heal.what["target_pid"] in {child.pid for child in family}
        assert running_still(family) == []
        assert heal.what["database"] in cell_databases(postgres_server)
        starting.attend(timezone.now())
        heal.refresh_from_db()
        assert heal.healed_at is not None
        assert heal.what["database"] not in cell_databases(postgres_server)
        assert engines_of(run) == []  # the run has its engine: the killed one had only helped
        assert living.wait(LIMIT_S) == 0
    points = CrashPoint.objects.filter(scenario__run=run)
    assert {(point.phase, point.verdict, point.worker) for point in points} == {("done", "passed", post)}
    assert {point.pk: point.attempt for point in points if point.attempt > 1} == {heal.crash_point_id: heal.attempt + 1}
    assert run.slots.get().verdict == "passed"
    assert not Heal.objects.filter(healed_at=None).exists()
    assert cell_databases(postgres_server) == []


def test_a_recovery_that_two_engines_recorded_at_once_is_struck_for_one_of_them(desk_target):
    scenario, at = started(desk_target, REPLAY).scenarios.get(), Point.parse("ledger:request:1:BEGIN")
    again = Trial("replay", at, Strike.KILL_BEFORE, then=Then(at, Strike.KILL_AFTER))
    fields = {"operation": "replay", "point": str(at), "label": "ledger: BEGIN", "position": 0, "strike": "kill before"}
    points = [scenario.crash_points.create(number=number, **fields) for number in range(1, 6)]
    for point, state in zip(points, ("a", "a", "b", "", ""), strict=True):
        result = Result(after_kill="alike", exact=state).concluded("failed", "")
        assert work.record(point, result, [(Place(at, "ledger: BEGIN", 0), again)], now=timezone.now())
    struck = scenario.crash_points.exclude(first=None)
    assert list(struck.values_list("first__number", flat=True).order_by("number")) == [1, 3, 4, 5]


def test_a_recovery_that_sends_nothing_is_not_recorded_again(desk_target):
    scenario, at = started(desk_target, REPLAY).scenarios.get(), "ledger:request:1:BEGIN"
    fields = {"operation": "replay", "point": at, "label": "ledger: BEGIN", "position": 0, "strike": "kill before"}
    point = scenario.crash_points.create(number=1, **fields)
    assert work.record(
        point, Result(Verdict.PASSED, receipt={"tries": 1}, after_kill="a", exact="a", silent=True), now=timezone.now()
    )
    assert [work.is_deepened(point, state) for state in "ab"] == [True, False]
    assert durable_states(scenario)["silent"] == 1


def said(path):
    return path.read_text().splitlines()


def test_a_standing_engine_takes_what_is_open_leaves_what_it_cannot_reach_and_waits(
    desk_target, postgres_server, tmp_path
):
    """One run after another, of which another machine's engine works on each."""
    beyond = Target.objects.create(name="beyond", spec=desk_target.spec, created_at=timezone.now())
    out = tmp_path / "out"
    with out.open("wb") as stream, ending(process_of(*ANY, stderr=stream)) as (engine,):
        until(lambda: any("waiting for chaos runs" in line for line in said(out)))
        unreachable = started(beyond, REPLAY)
        beyond.spec = beyond.spec | {"ledger": {"url": "env:OF_ANOTHER_MACHINE"}}
        beyond.save()
        for _ in range(2):
            run = started(desk_target, REPLAY, strike="kill before")
            ChaosRun.objects.update(worker=ELSEWHERE, lease_until=timezone.now() + LATER)
            until(lambda run=run: finished(run))
            assert {point.verdict for point in CrashPoint.objects.filter(scenario__run=run)} == {"passed"}
            assert ChaosRun.objects.get(run=run).worker == ELSEWHERE
            commands.close_run(run.pk, timezone.now())
        assert not finished(unreachable)
        until(lambda: not children_of(engine.pid))
        assert cell_databases(postgres_server) == []
        engine.terminate()
        assert engine.wait(LIMIT_S) == 0
    (left,) = {line.partition("WARNING")[2] for line in said(out) if "WARNING" in line}
    assert f"run {unreachable.pk} is left to other machines for 60 s: " in left
    assert "OF_ANOTHER_MACHINE" in left


def test_a_standing_engine_that_is_told_to_end_in_mid_strike_leaves_nothing_undone(desk_target, postgres_server):
    run = started(desk_target, REPLAY)
    with ending(process_of(*IS_TOLD)) as (engine,):
        assert engine.wait(LIMIT_S) == 0
    heals = Heal.objects.all()
    assert heals
    assert all(heal.healed_at for heal in heals)
    pids = {pid for heal in heals for pid in (heal.what["target_pid"], *heal.what["proxies"])}
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert not CrashPoint.objects.exclude(lease_until=None).exists()
    run.chaos.refresh_from_db()
    assert (run.chaos.worker, run.chaos.lease_until) == ("", None)
    assert cell_databases(postgres_server) == []


def run_to_help_after(**fields):
    """What a standing engine helps with, where the only run is so."""
    now = timezone.now()
    ChaosRun.objects.update(**{"worker": "", "lease_until": None} | fields)
    return posts.run_to_help(now), posts.run_to_help(now + posts.LEFT_TO_TICKS)


def test_a_standing_engine_leaves_to_this_machines_ticks_what_they_start_engines_for(desk_target):
    run = started(desk_target, REPLAY)
    soon = timezone.now() + LATER
    assert run_to_help_after() == (None, run.pk)
    assert run_to_help_after(lease_until=soon) == (None, None)  # a tick starts one just now
    assert run_to_help_after(lease_until=soon, worker=identity()) == (None, None)
    assert run_to_help_after(lease_until=soon, worker=ELSEWHERE) == (run.pk, run.pk)
    assert posts.run_to_help(timezone.now(), but=frozenset({run.pk})) is None
    run.scenarios.update(phase="done")
    assert run_to_help_after(lease_until=soon, worker=ELSEWHERE) == (None, None)


def test_only_the_first_of_two_engines_is_the_one_that_ticks_see(desk_target):
    run = started(desk_target, REPLAY)
    now = timezone.now()
    assert posts.take_post(run.pk, worker="a", now=now)
    assert not posts.take_post(run.pk, worker="b", now=now)
    posts.leave_post(run.pk, worker="b", trouble="none of its own")
    run.chaos.refresh_from_db()
    assert (run.chaos.worker, run.chaos.trouble) == ("a", "")
    posts.leave_post(run.pk, worker="a", trouble="no ledger")
    run.chaos.refresh_from_db()
    assert (run.chaos.worker, run.chaos.trouble) == ("", "no ledger")
    assert posts.take_post(run.pk, worker="b", now=now)


def test_a_run_is_not_given_up_while_another_machine_works_on_it(desk_target):
    run = started(desk_target, REPLAY)
    point = CrashPoint.objects.create(scenario=run.scenarios.get(), number=1, point="p", label="l", position=0)
    now = timezone.now()
    ChaosRun.objects.update(attempt=starting.ATTEMPTS, trouble="no program here")
    CrashPoint.objects.filter(pk=point.pk).update(worker=ELSEWHERE, lease_until=now + starting.STARTING)
    starting.attend(now)
    assert not finished(run)
    starting.attend(now + starting.STARTING * 2)
    assert finished(run)
    assert (run.slots.get().verdict, run.slots.get().result.reason) == ("inconclusive", "no program here")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "one of the arguments RUN --any is required"),
        (("seven",), "'seven' is no run's number: it stands in the address of the run's page"),
        (("7", "--any"), "argument --any: not allowed with argument RUN"),
        (("--any",), "The portal's database cannot be used (connection failed: "),
    ],
)
def test_an_engine_that_cannot_start_says_why_in_one_sentence(words, sentence):
    env = os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}
    argv = (sys.executable, "-m", "gates.chaos", *words)
    ended = subprocess.run(argv, env=env, text=True, capture_output=True, check=False, timeout=LIMIT_S)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert sentence in ended.stderr.splitlines()[-1]


def test_an_engine_of_a_run_that_does_not_exist_says_so(transactional_db):
    engine = process_of("-m", "gates.chaos", "99", stderr=subprocess.PIPE, text=True)
    assert engine.communicate(timeout=LIMIT_S)[1] == "There is no chaos run 99.\n"
    assert engine.returncode == 2
