"""The pages of gate 4: the months, a month with its thirty days, and the stop button. The portal never trades."""

from dataclasses import asdict
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from gates import commands
from gates.live_capital import pages
from gates.live_capital.commands import REFUSALS, CannotGoLiveError
from gates.live_capital.days import in_a_row
from gates.live_capital.environments import LIVE
from gates.live_capital.figures import LIVE_CURVES
from gates.live_capital.plans import LIVE_PLANS, LivePlan
from gates.live_capital.reaching import stop_command
from gates.live_capital.standing import day_words, days_of, latest_figures, months_of, plan_words
from gates.live_capital.stopping import CannotStopError, stop_target
from gates.live_capital.turns import start_live
from gates.models import Campaign, CapitalPlan, LiveRun, Report, Run
from gates.pages import rows, twins
from gates.plans import UnknownProfileError
from gates.roles import PROPOSE_CAPITAL, START_RUN, STOP_TARGET
from gates.targets.access import TargetUnreachableError
from gates.targets.queries import standing_targets

MONTHS_A_PAGE = 30


@require_safe
def live_capital(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    """Every month of gate 4, every plan that waits, and the campaigns that may have one."""
    found = LiveRun.objects.select_related("run__campaign__target", "plan").order_by("-pk")
    page = Paginator(found, MONTHS_A_PAGE).get_page(request.GET.get("page"))
    plans = CapitalPlan.objects.filter(months=None).select_related("campaign__target", "proposed_by")[:MONTHS_A_PAGE]
    if twin:
        months = [month_twin(live) for live in page]
        return JsonResponse({"months": months, "plans": [plan_words(plan) for plan in plans]})
    user = cast("User", request.user)
    context = {
        "page": page,
        "plans": plans,
        "ready": _ready() if user.has_perm(PROPOSE_CAPITAL) else [],
        "targets": standing_targets() if user.has_perm(START_RUN) else [],
        "profiles": [plan.profile for plan in LIVE_PLANS if plan.profile != "production"],
    }
    return render(request, "gates/live_capital.html", context)


def _ready() -> list[Campaign]:
    """Campaigns whose gates 1 to 3 have passed and that have no plan that stands."""
    taken = (CapitalPlan.State.PROPOSED, CapitalPlan.State.APPROVED)
    signable = (Campaign.State.READY, Campaign.State.APPROVED)
    open_ones = Campaign.objects.filter(state__in=signable).exclude(capital_plans__state__in=taken)
    return list(open_ones.select_related("target").order_by("-pk")[:MONTHS_A_PAGE])


@require_POST
@permission_required(START_RUN, raise_exception=True)
def start(request: HttpRequest) -> HttpResponse:
    """Open gate 4 of the target and profile in the form, and show it; what hinders it is said on the list."""
    target = standing_targets().filter(name=request.POST.get("target", "")).first()
    try:
        if target is None:
            raise CannotGoLiveError("There is no such target: choose one of the list.")
        profile = request.POST.get("profile", "")
        run = start_live(target, profile, started_by=cast("User", request.user), now=timezone.now())
    except (*REFUSALS, UnknownProfileError) as error:
        messages.error(request, str(error))
        return redirect("gates:live_capital")
    return HttpResponseRedirect(run.get_absolute_url())


def live_run(request: HttpRequest, run: Run, *, twin: bool = False) -> HttpResponse:
    """The page of one month, under the address of its run."""
    context = live_context(run, cast("User", request.user))
    if twin:
        return JsonResponse(live_twin(context))
    return render(request, "gates/live_run.html", context)


def live_part(request: HttpRequest, run: Run) -> HttpResponse:
    """The part of the month's page that changes."""
    return render(request, "gates/live_run.html#live", live_context(run, cast("User", request.user)))


def live_context(run: Run, user: User) -> dict[str, Any]:
    """Everything that the month's page shows, whole or its live part."""
    now = timezone.now()
    live = LiveRun.objects.select_related("plan__proposed_by", "plan__decided_by").get(run=run)
    days = days_of(run, run.closed_at or now)
    counts = rows.slot_counts(run, now)
    criteria = [asdict(line) for line in commands.criteria_of(run)] if run.is_open else run.criteria
    performance = latest_figures(run)
    return {
        "now": now,
        "run": run,
        "live": live,
        "is_live": live.environment == LIVE,
        "plan": live.plan,
        "shape": LivePlan.stored(run.plan),
        "campaign": run.campaign,
        "status": rows.status_of(run),
        "counts": counts,
        "elapsed": max(min(run.closed_at or now, run.planned_end) - run.planned_start, now - now),
        "days": days,
        "in_a_row": in_a_row(days),
        "today": next((day for day in days if day.status == "running"), None),
        "criteria": rows.standing(criteria, counts) if run.is_open else criteria,
        "used": pages.limits_used(run, live.plan),
        "figures": pages.figures(performance, live.rehearsed),
        "performance": performance,
        "audits": pages.audits_of(run, days),
        "months": months_of(live),
        "stop_because": pages.stop_reason(run),
        "stop": _stop_offer(run, user),
        "finding_groups": rows.finding_groups(run.findings.all()),
        "finding_count": run.findings.count(),
        "most_findings": rows.MOST_FINDINGS,
        "alerts": list(rows.open_alerts(run)[:50]),
        "hands": list(run.events.filter(kind="intervention").order_by("at")[: rows.MOST_EVENTS]),
        "events": list(run.events.order_by("-at", "-pk")[: rows.MOST_EVENTS]),
        "report": Report.objects.filter(run=run).first(),
        "curves": LIVE_CURVES,
    }


def _stop_offer(run: Run, user: User) -> dict[str, Any]:
    """Whether there is a stop command, whether this person may run it, and why not."""
    try:
        words = stop_command(run.campaign.target.spec)
    except TargetUnreachableError as error:
        return {"words": (), "may": False, "why_not": str(error)}
    if not words:
        why_not = "The target's description has no stop command: stop it where it runs."
        return {"words": (), "may": False, "why_not": why_not}
    may = user.has_perm(STOP_TARGET)
    return {"words": words, "may": may, "why_not": "" if may else "Your role may not run it: tell who may."}


@require_POST
@permission_required(STOP_TARGET, raise_exception=True)
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Run the target's stop command; it is written down as this person's hand."""
    run = get_object_or_404(Run.objects.filter(live__isnull=False).select_related("campaign__target"), pk=pk)
    reason = request.POST.get("reason", "")
    try:
        stopped = stop_target(run, by=cast("User", request.user), reason=reason, now=timezone.now())
    except (CannotStopError, TargetUnreachableError) as error:
        messages.error(request, str(error))
    else:
        messages.info(request, stopped.sentence)
    return HttpResponseRedirect(run.get_absolute_url())


def month_twin(live: LiveRun) -> dict[str, Any]:
    return twins.run_twin(live.run) | {
        "month": live.month,
        "environment": live.environment,
        "counted": live.counted,
        "not_counted_because": live.not_counted_because,
        "plan": live.plan_id,
    }


def live_twin(context: dict[str, Any]) -> dict[str, Any]:
    live = context["live"]
    return {
        **month_twin(live),
        "plan": plan_words(live.plan),
        "days": [day_words(day) for day in context["days"]],
        "in_a_row": context["in_a_row"],
        "criteria": context["criteria"],
        "limits": [asdict(used) for used in context["used"]],
        "performance": context["performance"],
        "rehearsed": live.rehearsed,
        "stop_because": context["stop_because"],
        "slots": twins.counts_twin(context["counts"]),
        "findings": [twins.group_twin(group) for group in context["finding_groups"]],
        "alerts": [twins.alert_twin(alert) for alert in context["alerts"]],
        "events": [twins.event_twin(event) for event in context["events"]],
        "months": [
            {"month": month.month, "run": month.run_id, "verdict": month.run.verdict} for month in context["months"]
        ],
    }
