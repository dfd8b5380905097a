"""The plan of gate 4: thirty days, what is due on each, and how much evidence each profile demands.

Every profile has the same checks. A day is 24 h from the start of the run; in the rehearsal it is 20 s, so that thirty
of them take ten minutes.

In production a look at the limits is a hole when it is a minute late: it stands for what the account held at its time,
and the last one of a day for what the next day opens with. The other profiles wait for a slow machine, as gate 1 does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from gates.plans import Cadence, UnknownProfileError, Window

AUDIT = "full audit"


@dataclass(frozen=True, slots=True)
class LivePlan:
    """One profile of gate 4: `days` of `day_s` each in a row, a full audit every `audit_days` and at the end.

    The least evidence of a pass: `min_touches` stops that the market touched, `min_trades` trades that were closed.
    `audit_grace_s`: how long after its day an audit may still be done. `stop_limit_s`: time that a touched stop may
    take. `most_months`: how often a month that was broken by a hole may start again at day 1.
    """

    profile: str
    day_s: int
    days: int
    audit_days: int
    audit_grace_s: int
    min_touches: int
    min_trades: int
    stop_limit_s: int
    most_months: int
    cadences: tuple[Cadence, ...]

    @property
    def duration_s(self) -> int:
        return self.day_s * self.days

    @property
    def audits(self) -> int:
        """How many full audits there are: one at the end of each week, and one at the end."""
        return -(-self.days // self.audit_days)

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Self:
        """Return the plan that a run was started with, from its row."""
        return cls(**{**values, "cadences": tuple(Cadence(**cadence) for cadence in values["cadences"])})


LIVE_PLANS = (
    LivePlan(
        "production",
        day_s=86_400,
        days=30,
        audit_days=7,
        audit_grace_s=12 * 3600,
        min_touches=30,
        min_trades=30,
        stop_limit_s=5,
        most_months=12,
        cadences=(
            Cadence("health", every_s=86_400, delay_s=0, grace_s=3600),
            Cadence("limits", every_s=300, delay_s=5, grace_s=60),
            Cadence("hands", every_s=600, delay_s=30, grace_s=6 * 3600),
            Cadence("stops", every_s=3600, delay_s=20, grace_s=6 * 3600),
            Cadence("books", every_s=86_400, delay_s=0, grace_s=6 * 3600),
            Cadence("performance", every_s=86_400, delay_s=0, grace_s=6 * 3600),
        ),
    ),
    LivePlan(
        "rehearsal",
        day_s=20,
        days=30,
        audit_days=7,
        audit_grace_s=180,
        min_touches=20,
        min_trades=20,
        stop_limit_s=3,
        most_months=3,
        cadences=(
            Cadence("health", every_s=20, delay_s=0, grace_s=120),
            Cadence("limits", every_s=5, delay_s=1, grace_s=120),
            Cadence("hands", every_s=10, delay_s=3, grace_s=120),
            Cadence("stops", every_s=10, delay_s=5, grace_s=120),
            Cadence("books", every_s=20, delay_s=0, grace_s=120),
            Cadence("performance", every_s=20, delay_s=0, grace_s=120),
        ),
    ),
    LivePlan(
        "smoke",
        day_s=10,
        days=3,
        audit_days=2,
        audit_grace_s=180,
        min_touches=1,
        min_trades=1,
        stop_limit_s=3,
        most_months=2,
        cadences=(
            Cadence("health", every_s=10, delay_s=0, grace_s=120),
            Cadence("limits", every_s=5, delay_s=1, grace_s=120),
            Cadence("hands", every_s=5, delay_s=3, grace_s=120),
            Cadence("stops", every_s=5, delay_s=5, grace_s=120),
            Cadence("books", every_s=10, delay_s=0, grace_s=120),
            Cadence("performance", every_s=10, delay_s=0, grace_s=120),
        ),
    ),
)
LIVE_CHECKS = (*(cadence.check_name for cadence in LIVE_PLANS[0].cadences), AUDIT)


def live_plan_for(profile: str) -> LivePlan:
    """Return the profile's plan. Raises UnknownProfileError."""
    for plan in LIVE_PLANS:
        if plan.profile == profile:
            return plan
    known = ", ".join(plan.profile for plan in LIVE_PLANS)
    raise UnknownProfileError(f"There is no profile {profile!r}: choose one of {known}.")


def live_windows(plan: LivePlan, start: datetime) -> Iterator[Window]:
    """Yield every slot of a run that starts at `start` (aware UTC, on a whole candle), gapless for each check."""
    for cadence in plan.cadences:
        for number in range(plan.duration_s // cadence.every_s):
            opens = start + timedelta(seconds=number * cadence.every_s)
            closes = opens + timedelta(seconds=cadence.every_s)
            due_at = closes + timedelta(seconds=cadence.delay_s)
            yield Window(cadence.check_name, opens, closes, due_at, due_at + timedelta(seconds=cadence.grace_s))
    for number in range(plan.audits):
        first = number * plan.audit_days
        opens, closes = (
            start + timedelta(seconds=day * plan.day_s) for day in (first, min(first + plan.audit_days, plan.days))
        )
        yield Window(AUDIT, opens, closes, closes, closes + timedelta(seconds=plan.audit_grace_s))
