"""How pages write the days of gate 4."""

from typing import Any, cast
from urllib.parse import urlencode

from django import template
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from gates.live_capital.days import Day, in_a_row
from gates.live_capital.standing import days_of
from gates.models import Campaign, CapitalPlan, LiveRun, Run
from gates.roles import PROPOSE_CAPITAL
from gates.templatetags.gates_pages import SHAPES, WORDS

MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"

register = template.Library()


@register.filter
def shape(status: str) -> str:
    return SHAPES[status]


@register.filter
def word(status: str) -> str:
    return WORDS.get(status, status)


@register.filter
def day_slots(day: Day, run: Run) -> str:
    """Return the address of the list of the day's slots."""
    span = {"from": format(day.start, MOMENT), "to": format(day.end, MOMENT)}
    return f"{reverse('gates:slots', args=[run.pk])}?{urlencode(span)}"


@register.simple_tag(takes_context=True)
def live_summary(context: dict[str, Any], campaign: Campaign) -> dict[str, Any]:
    """Return what a campaign's page says of gate 4: its newest month with its days, else its plan."""
    month = LiveRun.objects.filter(run__campaign=campaign).select_related("run", "plan").order_by("-pk").first()
    plan = month.plan if month else campaign.capital_plans.exclude(state=CapitalPlan.State.WITHDRAWN).first()
    user = cast("User | None", context.get("user"))
    may_propose = bool(user and user.has_perm(PROPOSE_CAPITAL) and campaign.ended_at is None)
    found: dict[str, Any] = {"month": month, "plan": plan, "may_propose": may_propose}
    if month:
        days = days_of(month.run, month.run.closed_at or timezone.now())
        found |= {"run": month.run, "days": days, "in_a_row": in_a_row(days)}
    return found
