"""What may be asked of a run of gate 2, and what is refused."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from gates.chaos.commands import Asked, CannotStrikeError, start_chaos
from gates.models import ChaosRun, CrashPoint, Heal, Run
from tests.gates.chaos.runs import REPLAY, started


def test_an_overdue_heal_shuts_the_target(desk_target):
    run = started(desk_target, REPLAY)
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
        started(desk_target, REPLAY)


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


def test_a_scenario_may_be_named_in_words(desk_target):
    asked = Asked(desk_target, "smoke", scenarios=("kill during event replay", "kill_during_trade_open"))
    run = start_chaos(asked, started_by=None, now=timezone.now())
    named = run.scenarios.order_by("number").values_list("name", flat=True)
    assert list(named) == ["kill_during_trade_open", "kill_during_event_replay"]


def test_the_second_strike_after_a_kill_after_a_request_can_be_repeated(desk_target):
    words = {"point": "ledger:request:1:COMMIT", "strike": "kill after", "then": "ledger:request:1:BEGIN"}
    run = started(desk_target, REPLAY, **words)
    assert (run.chaos.depth, run.chaos.only_strike, run.chaos.only_then) == (2, "kill after", words["then"])
