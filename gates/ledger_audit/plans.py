"""The plan of gate 3: which checks, how long they may take, and how much evidence each profile demands."""

from collections.abc import Sequence
from dataclasses import dataclass

from audits.checks import CHECKS
from gates.plans import UnknownProfileError


class UnknownCheckError(ValueError):
    """There is no check of this name; the message names those that there are."""


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """One profile of gate 3.

    `limit_s` bounds the whole audit; what is not judged by then is a hole. A pass needs at least `min_balance_events`
    balance events and `min_executions` executions whose PnL was recomputed: books with less prove little.
    """

    profile: str
    limit_s: int
    min_balance_events: int
    min_executions: int
    checks: tuple[str, ...] = tuple(check.name for check in CHECKS)


AUDIT_PLANS = (
    AuditPlan("production", limit_s=3600, min_balance_events=100, min_executions=200),
    AuditPlan("rehearsal", limit_s=600, min_balance_events=20, min_executions=40),
    AuditPlan("smoke", limit_s=120, min_balance_events=1, min_executions=2),
)


def audit_plan_for(profile: str, only: Sequence[str] = ()) -> AuditPlan:
    """Return the profile's plan, for some of the checks if asked. Raises UnknownProfileError, UnknownCheckError."""
    for plan in AUDIT_PLANS:
        if plan.profile == profile:
            names = checks_named(only) or plan.checks
            return AuditPlan(profile, plan.limit_s, plan.min_balance_events, plan.min_executions, names)
    known = ", ".join(plan.profile for plan in AUDIT_PLANS)
    raise UnknownProfileError(f"There is no profile {profile!r}: choose one of {known}.")


def checks_named(only: Sequence[str]) -> tuple[str, ...]:
    """Return the checks asked for, each once, in the order of the table. Raises UnknownCheckError."""
    known = tuple(check.name for check in CHECKS)
    for name in only:
        if name not in known:
            raise UnknownCheckError(f"There is no check {name!r}: choose from {', '.join(known)}.")
    return tuple(name for name in known if name in only)
