"""Whose turn gate 4 is: of an approved campaign with an approved plan; a rehearsal may be done at any time."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from gates.checks import health
from gates.live_capital.commands import CannotGoLiveError, open_gate_4, rehearsal_plan
from gates.live_capital.plans import live_plan_for
from gates.live_capital.reaching import live_access
from gates.models import Campaign, CapitalPlan, Run, Target
from gates.signoff.standing import missing

State = Campaign.State


def start_live(target: Target, profile: str, *, started_by: User | None, now: datetime) -> Run:
    """Open gate 4 of the target's campaign whose turn it is.

    In production it is that of an approved campaign with an approved plan, and of nothing else. In a rehearsal it is
    that of a campaign that is ready, with people's plan or one of its own; without one it is rehearsed all the same,
    in a campaign of its own that proves nothing.

    Raises what `commands.REFUSALS` names, UnknownProfileError.
    """
    live_plan_for(profile)
    campaign = _in_turn(target, profile)
    if profile == "production":
        return open_gate_4(_peoples_plan(target, campaign), started_by=started_by, now=now)
    with transaction.atomic():
        why_not = ""
        if campaign is None:
            why_not = f"No campaign of {target} in the profile {profile} is ready: gates open in order."
            campaign = _own_campaign(target, profile, started_by, now)
        plan = campaign.capital_plans.filter(state=CapitalPlan.State.APPROVED).first()
        plan = plan or rehearsal_plan(campaign, now)
        return open_gate_4(plan, started_by=started_by, why_not=why_not, now=now)


def opens_now(plan: CapitalPlan) -> str:
    """Return why gate 4 cannot be opened with this plan now, or nothing where it can be."""
    campaign = plan.campaign
    if plan.state != CapitalPlan.State.APPROVED:
        return f"The plan is {plan.state}: another person has to approve it."
    if plan.months.exists():
        return "Gate 4 was opened with this plan."
    wanted = State.APPROVED if campaign.profile == "production" else State.READY
    if campaign.state != wanted:
        return f"The campaign is {campaign.state}: it has to be {wanted}."
    left = missing(campaign) if campaign.signable else ()
    return f"The approval does not stand any more. {left[0]}" if left else ""


def _in_turn(target: Target, profile: str) -> Campaign | None:
    wanted = State.APPROVED if profile == "production" else State.READY
    return Campaign.objects.filter(target=target, profile=profile, state=wanted).order_by("-pk").first()


def _peoples_plan(target: Target, campaign: Campaign | None) -> CapitalPlan:
    if campaign is None:
        raise CannotGoLiveError(
            f"No production campaign of {target} is approved: gates 1 to 3 pass first, then its people sign."
        )
    plan = campaign.capital_plans.filter(state=CapitalPlan.State.APPROVED).first()
    if plan is None:
        raise CannotGoLiveError(f"{campaign} has no approved capital plan: propose one, and have another approve it.")
    return plan


def _own_campaign(target: Target, profile: str, started_by: User | None, now: datetime) -> Campaign:
    seen = health.observe(live_access(target.spec))
    return Campaign.objects.create(
        target=target,
        profile=profile,
        build=str(seen.get("build") or "unknown"),
        started_by=started_by,
        started_at=now,
    )
