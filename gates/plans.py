"""The plan of gate 1: which checks fall due, how often, and how much evidence each profile demands.

Every profile has the same checks; only durations, cadences and minima differ. `production` follows the product's
definition: 72 h, health every minute, positions every ten minutes, integrity every hour.

A grace outlasts the return of our own worker, which takes seconds, and on a machine with many times its load nearly a
minute, in any profile: what the target did meanwhile is still there to be read, and that it is the process of the start
is still to be seen. In production it stays within the slot's own cadence, so that each look is one of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

CANDLE_S = 5  # the broker's finest candle; stop windows are aligned to it so that each candle is in one window


class PlanError(ValueError):
    """A plan that cannot be followed; the message says what to change.

    PlanError
    ├── UnknownProfileError   the profile has no plan
    └── BadEvidenceError      the target's description asks for evidence that is none
    """


class UnknownProfileError(PlanError):
    """The profile has no plan; the message names those that do."""


class BadEvidenceError(PlanError):
    """The target's description asks for evidence that is none; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often one check falls due, how long after its window, and how long it may still be done."""

    check_name: str
    every_s: int
    delay_s: int
    grace_s: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One profile of gate 1, and the least evidence without which it cannot pass.

    `min_touches`: stops that the market touched; `min_reconciliations`: reconciliations of the target's own;
    `stop_limit_s`: time that a touched stop may take to be executed; `reconciliation_limit_ms`: time that one of the
    target's reconciliations may take.
    """

    profile: str
    duration_s: int
    min_touches: int
    min_reconciliations: int
    stop_limit_s: int
    cadences: tuple[Cadence, ...]
    reconciliation_limit_ms: int = 1000

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the plan that a run was started with, from its row: what is judged later is what was promised then."""
        cadences = tuple(Cadence(**cadence) for cadence in values["cadences"])
        return cls(**{**values, "cadences": cadences})

    def with_evidence(self, wanted: Mapping[str, Any]) -> Self:
        """Return the plan with other minima and limits. Raises BadEvidenceError for anything but whole numbers above 0.

        A minimum of nothing would be a pass without evidence, so there is none.
        """
        for name, value in wanted.items():
            if name not in CONFIGURABLE:
                raise BadEvidenceError(f"[evidence.{self.profile}] {name} is unknown: use {', '.join(CONFIGURABLE)}.")
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
                raise BadEvidenceError(f"[evidence.{self.profile}] {name} is {value!r}: give a whole number above 0.")
        return replace(self, **wanted)


CONFIGURABLE = ("min_touches", "min_reconciliations", "stop_limit_s", "reconciliation_limit_ms")
LARGEST = 1_000_000


PLANS = (
    Plan(
        "production",
        duration_s=72 * 3600,
        min_touches=100,
        min_reconciliations=432,
        stop_limit_s=5,
        cadences=(
            Cadence("health", every_s=60, delay_s=0, grace_s=50),
            Cadence("positions", every_s=600, delay_s=0, grace_s=120),
            Cadence("integrity", every_s=3600, delay_s=0, grace_s=600),
            Cadence("stops", every_s=60, delay_s=7, grace_s=300),
            Cadence("hands", every_s=600, delay_s=0, grace_s=300),
        ),
    ),
    Plan(
        "rehearsal",
        duration_s=300,
        min_touches=20,
        min_reconciliations=15,
        stop_limit_s=3,
        cadences=(
            Cadence("health", every_s=5, delay_s=0, grace_s=120),
            Cadence("positions", every_s=15, delay_s=0, grace_s=120),
            Cadence("integrity", every_s=30, delay_s=0, grace_s=120),
            Cadence("stops", every_s=15, delay_s=5, grace_s=120),
            Cadence("hands", every_s=30, delay_s=0, grace_s=120),
        ),
    ),
    Plan(
        "smoke",
        duration_s=20,
        min_touches=3,
        min_reconciliations=1,
        stop_limit_s=2,
        cadences=(
            Cadence("health", every_s=2, delay_s=0, grace_s=120),
            Cadence("positions", every_s=5, delay_s=0, grace_s=120),
            Cadence("integrity", every_s=10, delay_s=0, grace_s=120),
            Cadence("stops", every_s=5, delay_s=4, grace_s=120),
            Cadence("hands", every_s=10, delay_s=0, grace_s=120),
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
    """Yield every slot of a run that starts at `start` (aware UTC), gapless and without overlap for each check.

    Raises PlanError.
    """
    demand_sense(plan, start)
    for cadence in plan.cadences:
        first = _aligned(start) if cadence.check_name == "stops" else start
        for number in range(plan.duration_s // cadence.every_s):
            opens = first + timedelta(seconds=number * cadence.every_s)
            closes = opens + timedelta(seconds=cadence.every_s)
            due_at = closes + timedelta(seconds=cadence.delay_s)
            yield Window(cadence.check_name, opens, closes, due_at, due_at + timedelta(seconds=cadence.grace_s))


def demand_sense(plan: Plan, start: datetime) -> None:
    """Raise PlanError for a plan that lasts no time, or leaves a check without a slot, and for a start without zone."""
    if start.tzinfo is None:
        raise PlanError("The start of a run needs a time zone: give an aware UTC time.")
    if plan.duration_s <= 0:
        raise PlanError(f"The profile {plan.profile!r} lasts no time: give it a duration above zero.")
    for cadence in plan.cadences:
        if not 0 < cadence.every_s <= plan.duration_s:
            raise PlanError(
                f"The profile {plan.profile!r} never comes to its {cadence.check_name} check: let it fall due at least "
                f"once in its {plan.duration_s} s."
            )


def _aligned(moment: datetime) -> datetime:
    """Return the start of the candle that holds the moment."""
    return datetime.fromtimestamp(moment.timestamp() // CANDLE_S * CANDLE_S, tz=UTC)
