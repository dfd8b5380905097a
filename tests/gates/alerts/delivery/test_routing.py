"""Which routes a message takes, and when, by clocks that are put forward and back."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.alerts.deadlines import ORDER
from gates.alerts.delivery.pauses import LONGEST, MOST_ATTEMPTS, pause
from gates.alerts.delivery.routing import RANKS, Quiet, Way, due_at, ways_for

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland", "Australia/Lord_Howe")
MINUTE = timedelta(minutes=1)
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
moments = st.integers(0, 7 * 365 * 86400).map(lambda s: FIRST + timedelta(seconds=s))
quiets = st.tuples(times, times, st.sampled_from(ZONES)).filter(lambda q: q[0] != q[1])


def quiet(start, end, zone="UTC"):
    return Quiet(time.fromisoformat(start), time.fromisoformat(end), ZoneInfo(zone))


@given(quiets, moments)
def test_what_waits_for_the_end_of_quiet_hours_goes_out_of_them_and_not_later_than_it_could(drawn, now):
    hours = Quiet(drawn[0], drawn[1], ZoneInfo(drawn[2]))
    end = hours.ends(now)
    assert not hours.holds(end)
    if end != now:
        assert hours.holds(now)
        minutes = range(int((end - now) / MINUTE))
        assert all(hours.holds(end - MINUTE * (number + 1)) for number in minutes)


@given(quiets, moments)
def test_every_day_has_a_moment_in_quiet_hours_and_one_out_of_them(drawn, now):
    hours = Quiet(drawn[0], drawn[1], ZoneInfo(drawn[2]))
    for moment, inside in ((hours.begins(now), True), (hours.ends(now), False)):
        assert hours.holds(moment) is inside
        assert now <= moment <= now + timedelta(hours=49)


def test_quiet_hours_go_by_the_routes_own_clock_over_midnight_and_over_the_change_of_clocks():
    nights = quiet("22:00", "07:00", "Europe/Berlin")
    assert nights.ends(datetime(2026, 1, 15, 22, 30, tzinfo=UTC)) == datetime(2026, 1, 16, 6, tzinfo=UTC)
    assert nights.ends(datetime(2026, 3, 28, 22, 30, tzinfo=UTC)) == datetime(2026, 3, 29, 5, tzinfo=UTC)
    assert not nights.holds(datetime(2026, 7, 15, 19, 59, tzinfo=UTC))
    assert nights.holds(datetime(2026, 7, 15, 20, 0, tzinfo=UTC))


@given(st.sampled_from(sorted(RANKS)), quiets, moments)
def test_what_is_critical_never_waits_and_the_rest_never_disturbs(level, drawn, now):
    hours = Quiet(drawn[0], drawn[1], ZoneInfo(drawn[2]))
    at = due_at(Way(1, frozenset(RANKS), quiet=hours), level=level, now=now)
    assert at == now if level == "critical" else not hours.holds(at)


ways = st.builds(
    Way,
    st.integers(1, 5),
    st.frozensets(st.sampled_from(sorted(RANKS)), min_size=1),
    st.frozensets(st.sampled_from([*ORDER, "auditor"])),
)


@given(st.lists(ways, max_size=6), st.sampled_from(sorted(RANKS)), st.sampled_from(ORDER), st.integers(0, 5))
def test_somebody_hears_of_it_wherever_any_route_takes_its_level(routes, level, role, without):
    found = ways_for(routes, level=level, roles=(role,), without=(without,))
    takes = [way for way in routes if level in way.levels and way.route_id != without]
    assert set(found) <= set(takes)
    assert bool(found) == bool(takes)
    mine = [way for way in takes if way.reaches(role)]
    assert not mine or found == mine


def test_where_no_route_leads_to_a_role_the_first_in_the_order_that_has_one_hears_of_it():
    owner, risk = (Way(n, frozenset(RANKS), frozenset({role})) for n, role in ((1, "owner"), (2, "risk officer")))
    assert ways_for([owner, risk], level="high", roles=("engineer",)) == [risk]
    assert ways_for([owner], level="high", roles=("engineer",)) == [owner]


@pytest.mark.parametrize("spread", [0.0, 0.99])
def test_pauses_grow_to_a_limit_and_end_in_giving_up(spread):
    pauses = [pause(attempts, spread) for attempts in range(1, MOST_ATTEMPTS)]
    assert all(pauses)
    assert pauses == sorted(pauses)
    assert LONGEST <= pauses[-1] <= LONGEST * 1.25
    assert pause(MOST_ATTEMPTS, spread) is None
