"""The engine strikes the recoveries too: from each state, again where it came to nothing, and once more by name."""

import shlex

from django.utils import timezone

from gates import commands
from gates.chaos.reporting import repeat_command
from gates.models import CrashPoint
from tests.gates.chaos.engine.engines import LIMIT_S, engine_of
from tests.gates.chaos.runs import REPLAY, started


def test_a_second_strike_kills_the_recovery_and_one_is_made_again_by_the_names_that_a_report_gives(desk_target):
    first = started(desk_target, REPLAY, strike="kill before", depth=2)
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
    again = started(desk_target, given.pop("scenario"), **given)
    assert engine_of(again).wait(LIMIT_S) == 0
    struck = CrashPoint.objects.filter(scenario__run=again, then_strike=point.then_strike).get()
    assert (struck.point, struck.then_point, struck.fault) == (point.point, point.then_point, point.fault)
    assert (struck.verdict, struck.state_after_kill) == (point.verdict, point.state_after_kill)


BREAKING = """
import runpy
import django
django.setup()
from gates.chaos.engine import deepening, work
from gates.chaos.cells.target import TargetProcess
from gates.chaos.proxies.control import ProxyGoneError

record_recovery, record, words = deepening.record_recovery, work.record, TargetProcess.last_words

async def gone_once(*asked):
    deepening.record_recovery = record_recovery
    raise ProxyGoneError("The proxy has ended")

def refused_once(point, result, seconds=(), *, now):
    if seconds:
        work.record = record
        work.give_back(point)
        return False
    return record(point, result, seconds, now=now)

deepening.record_recovery, work.record = gone_once, refused_once
TargetProcess.last_words = lambda self, characters=400: words(self, characters) + chr(0)
runpy.run_module("gates.chaos", run_name="__main__", alter_sys=True)
"""


def test_a_recovery_is_struck_however_often_its_first_strike_came_to_nothing(desk_target):
    """A proxy dies while the recovery is recorded; then the result is refused, as where a lease was over."""
    run = started(desk_target, REPLAY, cells=1, depth=2)
    assert engine_of(run, ("-c", BREAKING)).wait(LIMIT_S) == 0
    first = CrashPoint.objects.get(then_point="", strike="kill before")
    assert (first.attempt, first.verdict, first.same_as) == (3, "passed", None)
    assert first.seconds.exists()
    assert {point.verdict for point in CrashPoint.objects.all()} == {"passed"}
    assert run.slots.get().verdict == "passed"
    assert first.log.endswith("\ufffd")
