"""The real thing, end to end: cells with real proxies, ledger, broker and desk; the engine as a process of its own."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psutil
import psycopg
import pytest
from celery import Celery
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from gates import commands, reports
from gates.chaos.baseline import kind_of
from gates.chaos.cells.cell import FLAT, HOLDING, QUIET_S, running_cell
from gates.chaos.cells.states import State
from gates.chaos.cells.target import Answer
from gates.chaos.commands import Asked, CannotStrikeError, start_chaos
from gates.chaos.engine import closing, starting, work
from gates.chaos.engine.running import running_premises
from gates.chaos.messages import Channel, Direction, Message, Point, Strike
from gates.chaos.reporting import repeat_command
from gates.chaos.strikes import recovery
from gates.chaos.strikes.clean_runs import NotSteadyError, record_clean
from gates.chaos.strikes.invariants import Clean
from gates.chaos.strikes.recovery import RESTARTED, Result, try_once, try_until_struck
from gates.chaos.strikes.second_strikes import OTHER_STATE, record_recovery
from gates.chaos.strikes.settling import REST_S
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.whose_message import HOLD_MS, UNTOLD
from gates.chaos.trials import Trial
from gates.engine import LEASE, claim
from gates.models import ChaosRun, CrashPoint, Heal, Run
from gates.rehearsal.desk.health import own_build

LIMIT_S = 900
RELATIONS = ("accounts", "orders", "executions", "positions", "position_events", "balance_events", "reconciliations")
FLAT_BOOKS = State({name: {} for name in RELATIONS}, ())
HELD = replace(FLAT_BOOKS, ledger=FLAT_BOOKS.ledger | {"positions": {"p": {"position_id": "p", "status": "open"}}})
ORDER = "broker: POST orders"


def asked(target, *scenarios, **options):
    return Asked(target, "smoke", scenarios, **{"cells": 2} | options)


def database_url():
    place = settings.DATABASES["default"]
    return f"postgresql://{place['USER']}:{place['PASSWORD']}@{place['HOST']}:{place['PORT']}/{place['NAME']}"


def engine_of(run, program=("-m", "gates.chaos")):
    """The engine as a tick starts it, on the test's database."""
    env = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "wartest_site.settings"}
    return subprocess.Popen((sys.executable, *program, str(run.pk)), env=env)


def until(condition, limit_s=LIMIT_S):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"not within {limit_s} s")


def cell_databases(postgres_server):
    with psycopg.connect(postgres_server.url()) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'wartest_cell_%'").fetchall()
    return [name for (name,) in found]


def children_of(pid):
    return psutil.Process(pid).children(recursive=True)


def words_of(process):
    """Its command line; of one that has ended since it was listed there is none."""
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def engines_of(run):
    """The engines that ticks of this process have started and that still run."""
    return [child for child in psutil.Process().children() if words_of(child)[-2:] == ["gates.chaos", str(run.pk)]]


def finished(run):
    return not run.scenarios.exclude(phase="done").exists()


def test_a_sampled_scenario_passes_on_the_clean_desk_and_nothing_is_left(desk_target, postgres_server):
    desk_target.spec |= {"build": {"value": own_build()}}
    desk_target.save()
    run = start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())
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
    run = start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())
    assert run.campaign.build == "sha256:running"
    assert engine_of(run).wait(LIMIT_S) == 0
    scenario = run.scenarios.get()
    assert (scenario.slot.verdict, scenario.crash_points.count()) == ("inconclusive", 0)
    assert f"shows the build {own_build()}, and the campaign is for sha256:running" in scenario.reason


def test_a_scenario_of_the_targets_own_is_struck_and_counted_beside_the_twelve(desk_target):
    own = {"name": "killed_as_it_answers", "operation": "reconcile", "strike": "kill after", "at": "ledger: COMMIT ack"}
    desk_target.spec |= {"scenarios": [own | {"expectation": "not done"}]}
    desk_target.save()
    run = start_chaos(asked(desk_target, "killed_as_it_answers"), started_by=None, now=timezone.now())
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


async def struck_while_the_background_spoke(spec, folder):
    """A kill at the second BEGIN of `close`, where a BEGIN of the desk's poll passes just before it is asked for."""
    point = Point.parse("ledger:answer:2:BEGIN")
    kind = (point.channel, point.direction, point.fingerprint)
    async with running_premises(spec, folder) as premises, running_cell(premises, 1) as cell:
        clean = (await record_clean(cell, "close")).clean
        quiet = cell.quiet

        async def counted_before_a_poll():
            known = await quiet()
            while [kind_of(message) for message in await cell.messages()].count(kind) == known[kind]:
                await asyncio.sleep(0.01)
            cell.quiet = quiet
            return known

        trial, results = Trial("close", point, Strike.KILL_BEFORE), []
        for follow in (try_once, try_until_struck):
            cell.quiet = counted_before_a_poll
            results.append(await follow(cell, trial, clean, Unwritten()))
        return results


def test_a_kill_at_a_message_that_the_background_shifted_is_no_evidence_and_is_made_again(desk_target, tmp_path):
    result, again = asyncio.run(struck_while_the_background_spoke(desk_target.spec, tmp_path))
    assert (again.verdict, again.receipt["message"]) == ("passed", "ledger: BEGIN acknowledged")
    assert result.reason.startswith("The wrong message was struck")
    assert (result.verdict, result.receipt, result.applies) == ("inconclusive", None, True)


def looking_often(spec):
    """The desk as a program that looks at the broker every three seconds, as a target of somebody's own may.

    That is longer than a message is held: a look that was due by then would come before the operation's answer.
    """
    command = list(spec["process"]["command"])
    command[command.index("--poll-every-s") + 1] = "3"
    return spec | {"process": spec["process"] | {"command": command}}


async def struck_instead_of_the_operation(spec, folder, *, always):
    """A request lost where a look of the desk's own sends the same one, before the operation is asked for, once or each
    time; the result, and with how much patience it was tried."""
    async with running_premises(looking_often(spec), folder) as premises, running_cell(premises, 1) as cell:
        clean_run = await record_clean(cell, "reconcile")
        trial = Trial("reconcile", clean_run.baseline.points[0].point, Strike.LOSE_REQUEST)
        ask, reset, patience = cell.ask, cell.reset, []

        async def asked_after_a_look(operation):
            if not always:
                cell.ask = ask
            passed = await cell.messages()
            while len(await cell.messages()) == len(passed):
                await asyncio.sleep(0.01)
            return await ask(operation)

        async def counted():
            patience.append(cell.patient)
            await reset()

        cell.ask, cell.reset = asked_after_a_look, counted
        return await try_until_struck(cell, trial, clean_run.clean, Unwritten()), patience


def test_a_message_like_the_operations_own_is_no_pass_until_the_operation_was_seen_to_wait_for_it(
    desk_target, tmp_path
):
    result, patience = asyncio.run(struck_instead_of_the_operation(desk_target.spec, tmp_path, always=False))
    assert (result.verdict, result.receipt["strike"]) == ("passed", "lose the request")
    assert result.receipt["proof"]["held_ms"] >= HOLD_MS
    assert patience[:2] == [False, True]
    assert result.receipt["tries"] == len(patience)


def test_a_message_of_the_background_that_is_struck_each_time_is_never_a_pass(desk_target, tmp_path, monkeypatch):
    monkeypatch.setattr(recovery, "TRIES", 2)
    result, patience = asyncio.run(struck_instead_of_the_operation(desk_target.spec, tmp_path, always=True))
    assert (result.verdict, result.reason) == ("inconclusive", UNTOLD)
    assert patience == [False, True]


async def with_a_cursor_of_its_own(spec, folder):
    """What the target's file says after each reset, and the states it is in: it counts its starts there."""
    async with running_premises(spec, folder) as premises, running_cell(premises, 1) as cell:
        launch, said, states = cell.launch, [], []

        def counting():
            launch()
            cursor = cell.folder.path / "cursor"
            cursor.write_text(f"{cursor.read_text() if cursor.exists() else ''}|")

        cell.launch = counting
        await cell.prepare(FLAT)
        for _ in range(2):
            await cell.reset()
            said.append((cell.folder.path / "cursor").read_text())
            states.append(await cell.durable_digest())
            await cell.start()
            states.append(await cell.durable_digest())
        await cell.prepare(HOLDING)
        await cell.reset()
        return said, (cell.folder.path / "cursor").read_text(), states


def test_a_file_of_the_targets_own_goes_back_with_its_books_and_tells_states_apart(desk_target, tmp_path):
    said, of_another_beginning, states = asyncio.run(with_a_cursor_of_its_own(desk_target.spec, tmp_path))
    assert said == ["|", "|"]
    assert of_another_beginning == "|"
    assert states[:2] == states[2:]
    assert states[0] != states[1]


async def answering_too_early(spec, folder):
    """The clean run of an open of which most is done once it has answered that it was."""
    async with running_premises(spec, folder) as premises, running_cell(premises, 1) as cell:
        ask, state, waiting = cell.ask, cell.state, []

        async def at_once(operation):
            waiting.append(operation)
            return Answer(200, {}, 1.0)

        async def and_then():
            found = await state()
            if waiting:
                assert (await ask(waiting.pop())).success
            return found

        cell.ask, cell.state = at_once, and_then
        await record_clean(cell, "open")


def test_what_an_operation_does_after_its_answer_makes_it_no_clean_run(desk_target, tmp_path):
    with pytest.raises(NotSteadyError, match=r"open goes on after its answer: .* changed .*orders.*broker"):
        asyncio.run(answering_too_early(desk_target.spec, tmp_path))


async def outlived(spec, folder):
    """A kill before the first message of a replay, where somebody answers in the dead target's place."""
    async with running_premises(spec, folder) as premises, running_cell(premises, 1) as cell:
        clean_run = await record_clean(cell, "replay")
        start = cell.start

        async def started():
            took_ms = await start()
            cell.target.still_listening = lambda: 4711
            return took_ms

        cell.start = started
        trial = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_BEFORE)
        return await try_once(cell, trial, clean_run.clean, Unwritten())


def test_a_kill_that_something_of_the_target_outlived_has_no_receipt(desk_target, tmp_path):
    result = asyncio.run(outlived(desk_target.spec, tmp_path))
    assert (result.verdict, result.receipt, result.applies) == ("inconclusive", None, True)
    assert result.reason.startswith("No receipt: process 4711 outlived the kill")


async def struck_twice(spec, folder):
    """A kill after the replay was asked for, and one in the recovery: by its recorded order, and by another."""
    async with running_premises(spec, folder) as premises, running_cell(premises, 1) as cell:
        clean_run = await record_clean(cell, "replay")
        first = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_AFTER)
        found = await record_recovery(cell, first, clean_run.clean)
        points, script = found.baseline.points, found.baseline.script
        place = points[len(points) // 2]
        order = script.without_openings
        then = found.then(place.point, Strike.KILL_BEFORE)
        shifted = replace(script, order=(*order[1:], order[0]))
        thens = [then, replace(then, script=shifted), replace(then, state="another")]
        return place, [await try_once(cell, replace(first, then=then), clean_run.clean, Unwritten()) for then in thens]


def test_a_second_kill_keeps_its_receipt_only_in_the_order_of_the_recovery_that_was_recorded(desk_target, tmp_path):
    place, (result, shifted, elsewhere) = asyncio.run(struck_twice(desk_target.spec, tmp_path))
    assert (result.verdict, result.receipt["then"]["message"]) == ("passed", place.label)
    assert f"→ {place.label}" in result.messages[result.messages.index(RESTARTED) :]
    assert (shifted.verdict, shifted.receipt) == ("inconclusive", None)
    assert shifted.reason.startswith("In the recovery: The wrong message was struck: message 1 since the target was")
    assert (elsewhere.verdict, elsewhere.receipt) == ("inconclusive", None)
    assert elsewhere.reason == f"In the recovery: {OTHER_STATE}"


async def recorded_while_it_only_paused(spec, folder):
    """How many recoveries are recorded where the target says after the first that it was not over."""
    async with running_premises(spec, folder) as premises, running_cell(premises, 1) as cell:
        clean_run = await record_clean(cell, "replay")
        quiet, unwell, rests, words = cell.quiet, cell.target.unwell, [], ["it has only paused"]

        async def resting(for_s=QUIET_S):
            rests.extend([for_s] if for_s == REST_S else [])
            return await quiet(for_s)

        async def unwell_once():
            return words.pop() if rests and words else await unwell()

        cell.quiet, cell.target.unwell = resting, unwell_once
        first = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_AFTER)
        found = await record_recovery(cell, first, clean_run.clean)
        return len(rests), len(found.baseline.points)


def test_a_recovery_that_only_paused_is_recorded_again(desk_target, tmp_path):
    recorded, points = asyncio.run(recorded_while_it_only_paused(desk_target.spec, tmp_path))
    assert recorded == 3
    assert points


def test_the_database_refuses_a_pass_without_a_receipt(desk_target):
    run = start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())
    point = CrashPoint.objects.create(scenario=run.scenarios.get(), number=1, point="p", label="l", position=0)
    with pytest.raises(IntegrityError, match="no_receipt_is_never_a_pass"), transaction.atomic():
        work.record(point, Result().concluded("passed", ""), now=timezone.now())
    point.refresh_from_db()
    assert point.verdict is None


def test_a_result_that_comes_after_its_run_was_closed_changes_nothing(desk_target):
    run = start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())
    point = CrashPoint.objects.create(scenario=run.scenarios.get(), number=1, point="p", label="l", position=0)
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="inconclusive")
    assert not work.record(point, Result().concluded("failed", "late"), now=timezone.now())
    point.refresh_from_db()
    assert (point.phase, point.verdict) == ("baseline", None)


def test_a_scenario_whose_slot_another_holds_stays_open_until_it_is_filled(desk_target):
    run = start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())
    scenario, now = run.scenarios.get(), timezone.now()
    assert claim(scenario.slot_id, worker="another", now=now)
    closing.close_scenario(scenario, worker="w", now=now, reason="none")
    scenario.refresh_from_db()
    assert scenario.phase == "baseline"
    closing.close_scenario(scenario, worker="w", now=now + LEASE * 2, reason="none")
    scenario.refresh_from_db()
    assert (scenario.phase, run.slots.get().verdict) == ("done", "inconclusive")


def test_a_killed_engine_is_healed_at_once_and_its_work_is_done_by_the_next(desk_target, postgres_server, monkeypatch):
    """Ticks alone start the first engine, heal what it leaves when it is killed, and start the next one."""
    monkeypatch.setenv("DATABASE_URL", database_url())
    run = start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())
    starting.attend(timezone.now())
    starting.attend(timezone.now())  # a second tick finds the lease taken
    heal = until(lambda: Heal.objects.filter(healed_at=None).first())
    (engine,) = engines_of(run)
    family = engine.children(recursive=True)
    engine.kill()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
    assert engine.status() == psutil.STATUS_ZOMBIE  # dead, and its parent, which is us, has not been told
    starting.attend(timezone.now())
    heal.refresh_from_db()
    assert heal.healed_at is not None
    assert heal.what["database"] not in cell_databases(postgres_server)
    until(lambda: finished(run))
    assert set(CrashPoint.objects.values_list("verdict", flat=True)) == {"passed"}
    until(lambda: not engines_of(run))
    assert cell_databases(postgres_server) == []


@contextmanager
def celery_worker(name, broker_url):
    """A worker of ticks as `up` starts it, with all that it starts in one group of processes, which ends with it."""
    env = os.environ | {"DATABASE_URL": database_url(), "REDIS_URL": broker_url}
    words = ("-m", "celery", "-A", "wartest_site", "worker", "-n", f"{name}@%h", "-Q", "tick", "-c", "1")
    worker = subprocess.Popen((sys.executable, *words, "--loglevel=WARNING"), env=env, start_new_session=True)
    try:
        yield psutil.Process(worker.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(30)


def in_mid_strike(worker, run):
    """The heal of a strike that the worker's engine is making, with that engine stopped, so that it stays there."""
    for process in children_of(worker.pid):
        if words_of(process)[-2:] == ["gates.chaos", str(run.pk)]:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                if heal := Heal.objects.filter(healed_at=None).first():
                    return heal
                process.resume()
    return None


def test_a_strike_of_a_killed_celery_worker_is_healed_by_the_next_worker_and_made_again(
    desk_target, postgres_server, valkey_server
):
    """SIGKILL takes the worker, its pool and its engine at once, as the end of a container does."""
    broker_url = f"{valkey_server.url().rpartition('/')[0]}/7"
    run = start_chaos(asked(desk_target, "kill_during_event_replay", cells=1), started_by=None, now=timezone.now())

    with Celery(broker=broker_url) as sender:

        def ticked(condition):
            sender.send_task("gates.tasks.tick", queue="tick", expires=5)
            time.sleep(0.5)
            return condition()

        with celery_worker("first", broker_url) as first:
            heal = until(lambda: ticked(lambda: in_mid_strike(first, run)))
            family = [first, *children_of(first.pid)]
            os.killpg(first.pid, signal.SIGKILL)
            psutil.wait_procs(family, timeout=30)
            assert [process for process in family if process.is_running() and process.status() != "zombie"] == []
        with celery_worker("second", broker_url) as second:
            until(lambda: ticked(lambda: Heal.objects.filter(pk=heal.pk, healed_at__isnull=False).exists()))
            heal.refresh_from_db()
            assert int(heal.healed_by.rpartition(":")[2]) in {child.pid for child in children_of(second.pid)}
            assert heal.what["database"] not in cell_databases(postgres_server)
            until(lambda: ticked(lambda: finished(run)))
            until(lambda: not cell_databases(postgres_server))
    assert set(CrashPoint.objects.values_list("verdict", flat=True)) == {"passed"}
    assert CrashPoint.objects.get(pk=heal.crash_point_id).attempt == heal.attempt + 1
    assert not Heal.objects.filter(healed_at=None).exists()


def test_a_killed_proxy_costs_an_attempt_and_the_point_is_struck_again(desk_target):
    run = start_chaos(asked(desk_target, "kill_during_event_replay", cells=1), started_by=None, now=timezone.now())
    engine = engine_of(run)
    until(lambda: CrashPoint.objects.filter(phase__in=("armed", "recovering")).first())
    proxies = [child for child in children_of(engine.pid) if "gates.chaos.proxies.postgres" in words_of(child)]
    proxies[0].kill()
    assert engine.wait(LIMIT_S) == 0
    assert set(CrashPoint.objects.values_list("verdict", flat=True)) == {"passed"}
    assert CrashPoint.objects.filter(attempt__gt=1).exists()


def test_a_second_strike_kills_the_recovery_and_one_is_made_again_by_the_names_that_a_report_gives(desk_target):
    first = start_chaos(
        asked(desk_target, "kill_during_event_replay", strike="kill before", depth=2),
        started_by=None,
        now=timezone.now(),
    )
    assert engine_of(first).wait(LIMIT_S) == 0
    seconds = CrashPoint.objects.exclude(then_point="")
    assert {point.verdict for point in CrashPoint.objects.all()} == {"passed"}
    assert {point.then_strike for point in seconds} == {"kill before", "kill after"}
    assert all(point.first.recovery["order"] for point in seconds)
    assert all(point.receipt["then"]["proof"]["signal"] == "SIGKILL" for point in seconds)
    point = seconds.first()
    words = shlex.split(repeat_command(point))
    given = {name.removeprefix("--"): value for name, value in zip(words[4::2], words[5::2], strict=True)}
    assert given.pop("target") == desk_target.name
    commands.close_run(first.pk, timezone.now())
    again = start_chaos(asked(desk_target, given.pop("scenario"), **given), started_by=None, now=timezone.now())
    assert engine_of(again).wait(LIMIT_S) == 0
    struck = CrashPoint.objects.filter(scenario__run=again, then_strike=point.then_strike).get()
    assert (struck.point, struck.then_point, struck.fault) == (point.point, point.then_point, point.fault)
    assert (struck.verdict, struck.state_after_kill) == (point.verdict, point.state_after_kill)


async def sending_late(spec, folder):
    """A kill after which the target, started again without cause, sends an order a little after it is ready."""
    async with running_premises(spec, folder) as premises, running_cell(premises, 1) as cell:
        clean_run = await record_clean(cell, "replay")
        start, messages, ready = cell.start, cell.messages, []

        async def started():
            took_ms = await start()
            ready.append(time.monotonic())
            return took_ms

        async def with_a_late_order():
            late = [at_s + 0.2 for at_s in ready[2:3] if time.monotonic() >= at_s + 0.2]
            sent = [Message(Channel.BROKER, Direction.REQUEST, "POST orders", 1, ORDER, at_s, 1) for at_s in late]
            return (*await messages(), *sent)

        cell.start, cell.messages = started, with_a_late_order
        trial = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_BEFORE)
        return await try_once(cell, trial, clean_run.clean, Unwritten())


def test_an_order_sent_a_little_after_a_restart_without_cause_is_found(desk_target, tmp_path):
    result = asyncio.run(sending_late(desk_target.spec, tmp_path))
    assert result.verdict == "failed"
    assert [(found.rule, found.measured) for found in result.findings] == [("second restart", f"sent {ORDER}")]


BREAKING = """
import runpy
import django
django.setup()
from gates.chaos.engine import running, work
from gates.chaos.cells.target import TargetProcess
from gates.chaos.proxies.control import ProxyGoneError

record_recovery, record, words = running.record_recovery, work.record, TargetProcess.last_words

async def gone_once(*asked):
    running.record_recovery = record_recovery
    raise ProxyGoneError("The proxy has ended")

def refused_once(point, result, seconds=(), *, now):
    if seconds:
        work.record = record
        work.give_back(point)
        return False
    return record(point, result, seconds, now=now)

running.record_recovery, work.record = gone_once, refused_once
TargetProcess.last_words = lambda self, characters=400: words(self, characters) + chr(0)
runpy.run_module("gates.chaos", run_name="__main__", alter_sys=True)
"""


def test_a_recovery_is_struck_however_often_its_first_strike_came_to_nothing(desk_target):
    """A proxy dies while the recovery is recorded; then the result is refused, as where a lease was over."""
    only = asked(desk_target, "kill_during_event_replay", cells=1, depth=2)
    run = start_chaos(only, started_by=None, now=timezone.now())
    assert engine_of(run, ("-c", BREAKING)).wait(LIMIT_S) == 0
    first = CrashPoint.objects.get(then_point="", strike="kill before")
    assert (first.attempt, first.verdict, first.same_as) == (3, "passed", None)
    assert first.seconds.exists()
    assert {point.verdict for point in CrashPoint.objects.all()} == {"passed"}
    assert run.slots.get().verdict == "passed"
    assert first.log.endswith("\ufffd")


def test_a_pass_needs_the_recovery_from_each_state_that_a_kill_left_to_be_struck(desk_target):
    run = start_chaos(asked(desk_target, "kill_during_event_replay", depth=2), started_by=None, now=timezone.now())
    done = {"operation": "replay", "point": "ledger:request:1:BEGIN", "position": 0, "receipt": {}, "phase": "done"}
    done |= {"scenario": run.scenarios.get(), "strike": "kill before", "fault": "kill before", "verdict": "passed"}
    first = CrashPoint.objects.create(number=1, label="ledger: BEGIN", state_after_kill="a", **done)
    CrashPoint.objects.create(number=2, first=first, then_point="p", then_strike="kill before", **done)
    CrashPoint.objects.create(number=3, label="ledger: COMMIT", state_after_kill="b", **done)
    work.move_scenario(first.scenario_id, "armed", now=timezone.now())
    closing.close_scenarios(run.pk, worker="w", now=timezone.now())
    result = run.slots.get().result
    assert result.verdict == "inconclusive"
    assert result.reason.startswith(
        "The recovery from state b, left by kill before at ledger: COMMIT (replay), was never"
    )


@pytest.mark.parametrize(("end", "verdict"), [(HELD, "inconclusive"), (FLAT_BOOKS, "passed")])
def test_an_operation_that_changes_the_books_and_was_never_struck_is_missing_from_a_pass(desk_target, end, verdict):
    run = start_chaos(asked(desk_target, "database_deadlock"), started_by=None, now=timezone.now())
    scenario, now = run.scenarios.get(), timezone.now()
    for operation in ("open", "close"):
        clean = Clean(FLAT_BOOKS, end).shape()
        sent = [{"direction": "request", "label": label} for label in ("ledger: BEGIN", *["ledger: EXECUTE book"] * 2)]
        recorded = {"messages": sent, "background": [], "took_ms": 1, "recorded_at": now}
        scenario.baselines.create(operation=operation, clean=clean, **recorded)
    done = {"operation": "open", "point": "ledger:request:1:INSERT", "position": 0, "receipt": {}, "phase": "done"}
    scenario.crash_points.create(number=1, label="l", strike="deadlock", fault="deadlock", verdict="passed", **done)
    work.move_scenario(scenario.pk, "armed", now=now)
    closing.close_scenarios(run.pk, worker="w", now=now)
    result = run.slots.get().result
    assert result.verdict == verdict
    missing = (
        "in close, which changes positions: none of 'ledger: BEGIN', 'ledger: EXECUTE book' is one that it strikes"
    )
    assert (missing in result.reason) is (verdict == "inconclusive")


def test_a_history_that_does_not_show_the_order_yet_strikes_the_desk_and_is_waited_for(desk_target):
    only = asked(desk_target, "network_drop_during_order", strike="stale look-up")
    run = start_chaos(only, started_by=None, now=timezone.now())
    assert engine_of(run).wait(LIMIT_S) == 0
    points = CrashPoint.objects.filter(scenario__run=run)
    assert {point.label for point in points} == {"broker: POST orders", "broker: POST orders answered 201"}
    assert {(point.applies, point.verdict, point.end) for point in points} == {(True, "passed", "done")}
    assert all(point.receipt["proof"]["lookups_answered_stale"] > 0 for point in points)


def test_a_target_that_does_not_start_makes_the_scenario_inconclusive_not_failed(desk_target):
    desk_target.spec["process"]["command"] = [sys.executable, "-c", "raise SystemExit('no desk today')"]
    desk_target.save()
    run = start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())
    assert engine_of(run).wait(LIMIT_S) == 0
    slot = run.slots.get()
    assert slot.verdict == "inconclusive"
    assert "Steady state not met" in slot.result.reason
    assert "no desk today" in slot.result.reason


def test_an_overdue_heal_shuts_the_target(desk_target):
    run = start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())
    scenario = run.scenarios.get()
    long_ago = datetime(2026, 3, 1, tzinfo=UTC)
    point = CrashPoint.objects.create(
        scenario=scenario, number=1, operation="replay", point="p", label="l", position=0, strike="kill before"
    )
    Heal.objects.create(
        crash_point=point, attempt=1, fault="kill before", what={}, written_at=long_ago, due_at=long_ago
    )
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="inconclusive")
    with pytest.raises(CannotStrikeError, match="is shut"):
        start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())


def test_what_cannot_be_asked_for_is_refused_in_words(desk_target):
    for options, words in (
        ({"scenarios": ("kill_during_lunch",)}, "There is no scenario"),
        ({"cells": 0}, "cells cannot be run"),
        ({"point": "nonsense"}, "no crash point"),
        ({"strike": "kill after", "depth": 2}, "follows 'kill after': only 'kill before' leaves"),
        ({"strike": "kill after", "point": "ledger:answer:1:COMMIT", "then": "ledger:request:1:BEGIN"}, "leaves"),
    ):
        with pytest.raises(CannotStrikeError, match=words):
            start_chaos(Asked(desk_target, "smoke", **options), started_by=None, now=timezone.now())
    assert not ChaosRun.objects.exists()


def test_the_second_strike_after_a_kill_after_a_request_can_be_repeated(desk_target):
    words = {"point": "ledger:request:1:COMMIT", "strike": "kill after", "then": "ledger:request:1:BEGIN"}
    run = start_chaos(asked(desk_target, "kill_during_event_replay", **words), started_by=None, now=timezone.now())
    assert (run.chaos.depth, run.chaos.only_strike, run.chaos.only_then) == (2, "kill after", words["then"])


def test_a_scenario_never_moves_back(desk_target):
    run = start_chaos(asked(desk_target, "kill_during_event_replay"), started_by=None, now=timezone.now())
    scenario = run.scenarios.get()
    for phase in ("armed", "verifying", "struck"):
        work.move_scenario(scenario.pk, phase, now=timezone.now() + timedelta(seconds=1))
    scenario.refresh_from_db()
    assert scenario.phase == "verifying"
    assert list(scenario.phase_at) == ["armed", "verifying"]
