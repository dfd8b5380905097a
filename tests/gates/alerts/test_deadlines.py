"""Who hears of an alert when nobody deals with it, and how often."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gates.alerts.deadlines import LONGEST_PAUSE, ORDER, PACES, Escalate, Remind, Waiting, looked_at, next_step
from gates.alerts.thresholds import DEADLINES

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def waiting(level="high", *, acknowledged=False, role=ORDER[0], told_at=AT, reminders=0):
    return Waiting(level, AT + DEADLINES[level], acknowledged, role, told_at, reminders)


def lived(level, hours, *, acknowledged=False):
    """Return every step of an alert that nobody resolves, with the time since it was raised."""
    alert, at, steps = waiting(level, acknowledged=acknowledged), AT, []
    while at < AT + timedelta(hours=hours):
        step = next_step(alert, at)
        if step is None:
            at = looked_at(alert)
            continue
        steps.append((at - AT, step))
        role = step.role if isinstance(step, Escalate) else alert.role
        told = alert.reminders + isinstance(step, Remind)
        alert = waiting(level, acknowledged=acknowledged, role=role, told_at=at, reminders=told)
    return steps


def test_past_its_deadline_an_alert_goes_to_one_role_after_another():
    escalated = {
        level: [(at, step.role) for at, step in lived(level, 48) if isinstance(step, Escalate)] for level in PACES
    }
    assert escalated == {
        "critical": [(timedelta(minutes=2), "risk officer"), (timedelta(minutes=5), "owner")],
        "high": [(timedelta(hours=1), "risk officer"), (timedelta(minutes=90), "owner")],
        "medium": [(timedelta(hours=4), "risk officer"), (timedelta(hours=6), "owner")],
    }


def test_whoever_acknowledged_is_reminded_and_nobody_else_hears_of_it():
    steps = lived("critical", 72, acknowledged=True)
    assert steps[0] == (timedelta(hours=1), Remind(1))
    assert all(isinstance(step, Remind) for _, step in steps)


@given(st.sampled_from(sorted(PACES)), st.booleans())
def test_reminders_never_end_and_never_come_thick(level, acknowledged):
    times = [at for at, step in lived(level, 24 * 20, acknowledged=acknowledged) if isinstance(step, Remind)]
    pauses = [then - at for at, then in pairwise(times)]
    pace = PACES[level]
    assert min(pauses) >= (pace.acknowledged_pause if acknowledged else pace.first_pause)
    assert pauses[-1] == LONGEST_PAUSE
    assert len(times) < 40


@given(
    st.sampled_from(sorted(PACES)),
    st.booleans(),
    st.sampled_from(ORDER),
    st.integers(0, 40),
    st.integers(-7200, 7 * 86400).map(lambda s: timedelta(seconds=s)),
)
def test_nothing_is_due_before_the_time_at_which_it_is_looked_at(level, acknowledged, role, reminders, later):
    alert = waiting(level, acknowledged=acknowledged, role=role, reminders=reminders)
    assert (next_step(alert, AT + later) is not None) == (AT + later >= looked_at(alert))
