"""What people cause of a capital plan: proposing it, and approving, refusing or withdrawing it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from gates.live_capital.terms import read_terms
from gates.models import Campaign, CapitalPlan

State = CapitalPlan.State
MOST_WORDS = 2000


class PlanRefusedError(Exception):
    """A plan cannot be proposed or decided like that; the message says why and what to do."""


@transaction.atomic
def propose_plan(campaign_id: int, given: Mapping[str, Any], *, by: User, now: datetime) -> CapitalPlan:
    """Propose a plan for a campaign. Raises BadTermsError, PlanRefusedError; then nothing is written."""
    terms = read_terms(given, now)
    campaign = Campaign.objects.select_for_update(of=("self",)).select_related("target").get(pk=campaign_id)
    _demand_open(campaign)
    if campaign.capital_plans.filter(state=State.APPROVED).exists():
        raise PlanRefusedError(f"A plan for {campaign} is approved already: a build has one.")
    if campaign.capital_plans.filter(state=State.PROPOSED).exists():
        raise PlanRefusedError(f"A plan for {campaign} waits for its decision: decide or withdraw it first.")
    return CapitalPlan.objects.create(
        campaign=campaign,
        amount=terms.amount,
        instruments=list(terms.instruments),
        order_size=terms.order_size,
        orders_per_minute=terms.orders_per_minute,
        daily_loss=terms.daily_loss,
        total_loss=terms.total_loss,
        ends_on=terms.ends_on,
        reason=str(given.get("reason") or "").strip()[:MOST_WORDS],
        proposed_by=by,
        proposed_at=now,
    )


@transaction.atomic
def decide_plan(plan_id: int, decision: str, *, by: User, words: str, now: datetime) -> CapitalPlan:
    """Approve, refuse or withdraw a proposed plan, once. Raises PlanRefusedError.

    Whoever proposed it may only withdraw it; everybody else may not. A refusal says why.
    """
    plan = CapitalPlan.objects.select_for_update(of=("self",)).select_related("campaign__target").get(pk=plan_id)
    words = words.strip()[:MOST_WORDS]
    if plan.state != State.PROPOSED:
        raise PlanRefusedError(f"The plan is {plan.state} already: a decision stays.")
    if decision not in (State.APPROVED, State.REFUSED, State.WITHDRAWN):
        raise PlanRefusedError("A plan is approved, refused or withdrawn: choose one of them.")
    own = plan.proposed_by_id == by.pk
    if own != (decision == State.WITHDRAWN):
        raise PlanRefusedError(
            "You proposed this plan: another person approves or refuses it, you may withdraw it."
            if own
            else "Only who proposed a plan may withdraw it: refuse it instead."
        )
    if decision == State.REFUSED and not words:
        raise PlanRefusedError("Say why the plan is refused.")
    if decision == State.APPROVED:
        _demand_open(plan.campaign)
        if plan.ends_on < now.date():
            raise PlanRefusedError(f"The plan ended on {plan.ends_on}: propose another one.")
    plan.state, plan.decided_by, plan.decided_at, plan.decision = State(decision), by, now, words
    plan.save()
    return plan


def _demand_open(campaign: Campaign) -> None:
    if campaign.ended_at is not None:
        raise PlanRefusedError(f"{campaign} has ended: capital is planned for a campaign that goes on.".capitalize())
