"""The plan of gate 2 in each profile. Pure."""

from dataclasses import dataclass

from gates.plans import UnknownProfileError


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """One profile: how long a run may take, which mode, and how many trials of each fault and operation.

    Depth 2 kills a second time, at each message of the recovery. `sampled` 0 makes every trial; only that, of all
    twelve scenarios, is enough evidence for the production profile.
    """

    profile: str
    limit_s: int
    mode: str
    sampled: int
    depth: int


CHAOS_PLANS = (
    ChaosPlan("production", limit_s=12 * 3600, mode="full", sampled=0, depth=2),
    ChaosPlan("rehearsal", limit_s=2 * 3600, mode="quick", sampled=6, depth=1),
    ChaosPlan("smoke", limit_s=1800, mode="quick", sampled=1, depth=1),
)


def chaos_plan_for(profile: str) -> ChaosPlan:
    """Return the profile's plan. Raises UnknownProfileError."""
    for plan in CHAOS_PLANS:
        if plan.profile == profile:
            return plan
    known = ", ".join(plan.profile for plan in CHAOS_PLANS)
    raise UnknownProfileError(f"There is no profile {profile!r}: choose one of {known}.")
