"""Rows as work: what is written down is proven, in time and never taken back."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from gates.chaos.engine import work
from gates.chaos.strikes.recovery import Result
from gates.models import CrashPoint, Run
from tests.gates.chaos.runs import REPLAY, started


def test_the_database_refuses_a_pass_without_a_receipt(desk_target):
    run = started(desk_target, REPLAY)
    point = CrashPoint.objects.create(scenario=run.scenarios.get(), number=1, point="p", label="l", position=0)
    with pytest.raises(IntegrityError, match="no_receipt_is_never_a_pass"), transaction.atomic():
        work.record(point, Result().concluded("passed", ""), now=timezone.now())
    point.refresh_from_db()
    assert point.verdict is None


def test_a_result_that_comes_after_its_run_was_closed_changes_nothing(desk_target):
    run = started(desk_target, REPLAY)
    point = CrashPoint.objects.create(scenario=run.scenarios.get(), number=1, point="p", label="l", position=0)
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="inconclusive")
    assert not work.record(point, Result().concluded("failed", "late"), now=timezone.now())
    point.refresh_from_db()
    assert (point.phase, point.verdict) == ("baseline", None)


def test_a_scenario_never_moves_back(desk_target):
    run = started(desk_target, REPLAY)
    scenario = run.scenarios.get()
    for phase in ("armed", "verifying", "struck"):
        work.move_scenario(scenario.pk, phase, now=timezone.now() + timedelta(seconds=1))
    scenario.refresh_from_db()
    assert scenario.phase == "verifying"
    assert list(scenario.phase_at) == ["armed", "verifying"]
