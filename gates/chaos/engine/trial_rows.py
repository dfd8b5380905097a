"""What a crash point asks for, as the trial that is made: from its row and its first strike's, without a query."""

from gates.chaos.baseline import Script
from gates.chaos.messages import Point, Strike
from gates.chaos.trials import Then, Trial
from gates.models import CrashPoint


def trial_of(point: CrashPoint) -> Trial:
    """What the row asks for."""
    return Trial(
        point.operation,
        Point.parse(point.point),
        Strike(point.strike),
        dict(point.parameters),
        point.half_open,
        _then_of(point),
    )


def _then_of(point: CrashPoint) -> Then | None:
    if not point.then_point:
        return None
    first = point.first
    recovery = (first.recovery if first else None) or {}
    state, asked = first.state_after_kill if first else "", bool(recovery.get("asked"))
    return Then(Point.parse(point.then_point), Strike(point.then_strike), Script.of(recovery), state, asked)
