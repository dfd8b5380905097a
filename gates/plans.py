"""The plan of gate 1: which checks fall due, how often, and how much evidence each profile demands.

Every profile has the same checks; only durations, cadences and minima differ. `production` follows the product's
definition: 72 h, health every minute, positions every ten minutes, integrity every hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

CANDLE_S = 5  # the broker's finest candle; stop windows are aligned to it so that each candle is in one window


class UnknownProfileError(ValueError):
    """The profile has no plan; the message names those that do."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often one check falls due, how long after its window, and how long it may still be done."""

    check_name: str
    every_s: int
    delay_s: int
    grace_s: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One profile of gate 1. `min_touches`: stops that must have been touched before a pass is possible."""

    profile: str
    duration_s: int
    min_touches: int
    stop_limit_s: int
    cadences: tuple[Cadence, ...]


PLANS = (
    Plan(
        "production",
        duration_s=72 * 3600,
        min_touches=100,
        stop_limit_s=5,
        cadences=(
            Cadence("health", every_s=60, delay_s=0, grace_s=50),
            Cadence("positions", every_s=600, delay_s=0, grace_s=120),
            Cadence("integrity", every_s=3600, delay_s=0, grace_s=600),
            Cadence("stops", every_s=60, delay_s=7, grace_s=300),
        ),
    ),
    Plan(
        "rehearsal",
        duration_s=300,
        min_touches=20,
        stop_limit_s=3,
        cadences=(
            Cadence("health", every_s=5, delay_s=0, grace_s=15),
            Cadence("positions", every_s=15, delay_s=0, grace_s=15),
            Cadence("integrity", every_s=30, delay_s=0, grace_s=20),
            Cadence("stops", every_s=15, delay_s=5, grace_s=20),
        ),
    ),
    Plan(
        "smoke",
        duration_s=20,
        min_touches=3,
        stop_limit_s=2,
        cadences=(
            Cadence("health", every_s=2, delay_s=0, grace_s=15),
            Cadence("positions", every_s=5, delay_s=0, grace_s=15),
            Cadence("integrity", every_s=10, delay_s=0, grace_s=15),
            Cadence("stops", every_s=5, delay_s=4, grace_s=15),
        ),
    ),
)
CHECKS = tuple(cadence.check_name for cadence in PLANS[0].cadences)


def plan_for(profile: str) -> Plan:
    """Return the profile's plan. Raises UnknownProfileError."""
    for plan in PLANS:
        if plan.profile == profile:
            return plan
    known = ", ".join(plan.profile for plan in PLANS)
    raise UnknownProfileError(f"There is no profile {profile!r}: choose one of {known}.")


@dataclass(frozen=True, slots=True)
class Window:
    """One slot to be cut: it judges [start, end), is due at `due_at` and a hole after `grace_until`."""

    check_name: str
    start: datetime
    end: datetime
    due_at: datetime
    grace_until: datetime


def windows(plan: Plan, start: datetime) -> Iterator[Window]:
    """Yield every slot of a run that starts at `start` (aware UTC), gapless and without overlap for each check."""
    if plan.duration_s <= 0:
        raise ValueError(f"The profile {plan.profile!r} lasts no time: give it a duration above zero.")
    if start.tzinfo is None:
        raise ValueError("The start of a run needs a time zone: give an aware UTC time.")
    for cadence in plan.cadences:
        first = _aligned(start) if cadence.check_name == "stops" else start
        for number in range(plan.duration_s // cadence.every_s):
            opens = first + timedelta(seconds=number * cadence.every_s)
            closes = opens + timedelta(seconds=cadence.every_s)
            due_at = closes + timedelta(seconds=cadence.delay_s)
            yield Window(cadence.check_name, opens, closes, due_at, due_at + timedelta(seconds=cadence.grace_s))


def _aligned(moment: datetime) -> datetime:
    """Return the start of the candle that holds the moment."""
    return datetime.fromtimestamp(moment.timestamp() // CANDLE_S * CANDLE_S, tz=UTC)
