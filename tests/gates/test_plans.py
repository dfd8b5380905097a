from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.plans import PLANS, UnknownProfileError, plan_for, windows

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
    with pytest.raises(ValueError, match="time zone"):
        list(windows(plan_for("smoke"), datetime(2026, 1, 1)))  # noqa: DTZ001
