import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.plans import CONFIGURABLE, PLANS, BadEvidenceError, Plan, PlanError, UnknownProfileError, plan_for, windows

SLOW_RETURN_S = 49  # seen: two workers and beat killed on two processors with a load of 18
starts = st.integers(1_600_000_000_000, 2_200_000_000_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, tz=UTC))


def test_production_cuts_every_minute_ten_minutes_and_hour_of_72_hours():
    cut = list(windows(plan_for("production"), datetime(2026, 1, 1, tzinfo=UTC)))
    counts = {name: sum(window.check_name == name for window in cut) for name in ("health", "positions", "integrity")}
    assert counts == {"health": 4320, "positions": 432, "integrity": 72}


@given(start=starts, plan=st.sampled_from(PLANS[1:]))
def test_windows_of_a_check_follow_each_other_without_gap_or_overlap(start, plan):
    cut = list(windows(plan, start))
    for cadence in plan.cadences:
        mine = [window for window in cut if window.check_name == cadence.check_name]
        assert mine[0].start <= start < mine[0].end
        assert all(before.end == after.start for before, after in pairwise(mine))
        assert mine[-1].end - mine[0].start == timedelta(seconds=plan.duration_s)
        assert all(window.end <= window.due_at < window.grace_until for window in mine)


@given(start=starts)
def test_stop_windows_begin_where_a_candle_begins(start):
    for window in windows(plan_for("smoke"), start):
        if window.check_name == "stops":
            assert window.start.timestamp() % 5 == 0


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(UnknownProfileError, match="production, rehearsal, smoke"):
        plan_for("quick")


def test_a_start_without_a_zone_is_refused():
    with pytest.raises(PlanError, match="time zone"):
        list(windows(plan_for("smoke"), datetime(2026, 1, 1)))  # noqa: DTZ001


@pytest.mark.parametrize("wrong", [{"duration_s": 0}, {"duration_s": -60}, {"duration_s": 9}])
def test_a_profile_that_lasts_no_time_or_never_comes_to_a_check_is_refused(wrong):
    with pytest.raises(PlanError, match=r"lasts no time|never comes to its integrity check"):
        list(windows(replace(plan_for("smoke"), **wrong), datetime(2026, 1, 1, tzinfo=UTC)))


@given(st.sampled_from(PLANS))
def test_a_plan_comes_back_from_its_row_as_it_was(plan):
    assert Plan.stored(json.loads(json.dumps(asdict(plan)))) == plan


@given(st.sampled_from(PLANS), st.dictionaries(st.sampled_from(CONFIGURABLE), st.integers(1, 1_000_000)))
def test_minima_and_limits_can_be_set_and_nothing_else_changes(plan, wanted):
    assert asdict(plan.with_evidence(wanted)) == asdict(plan) | wanted


@pytest.mark.parametrize("value", [0, -1, 1.5, "5", None, True, 10**9])
@pytest.mark.parametrize("name", CONFIGURABLE)
def test_a_minimum_of_nothing_is_refused_by_name(name, value):
    with pytest.raises(BadEvidenceError, match=rf"\[evidence.smoke\] {name} is .*: give a whole number above 0"):
        plan_for("smoke").with_evidence({name: value})


def test_an_unknown_minimum_is_refused_with_the_known_ones():
    with pytest.raises(BadEvidenceError, match="min_luck is unknown: use min_touches, min_reconciliations"):
        plan_for("smoke").with_evidence({"min_luck": 1})


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.profile)
def test_a_grace_outlasts_a_worker_of_ours_that_is_slow_to_come_back(plan):
    assert min(cadence.grace_s for cadence in plan.cadences) > SLOW_RETURN_S
