"""The pages of campaigns: one, all over time, two compared; and starting one as a whole."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from gates import commands
from gates.campaigns import pages, twins
from gates.campaigns.reviews import ReviewRefusedError, write_review
from gates.models import Campaign, Review
from gates.pages.start import start_offer
from gates.pages.twins import step_twin
from gates.plans import PlanError
from gates.roles import START_RUN, WRITE_REVIEW
from gates.targets.access import TargetUnreachableError
from gates.targets.queries import standing_targets

CAMPAIGNS_A_PAGE = 50


@require_safe
def campaigns(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    page = Paginator(pages.listed(), CAMPAIGNS_A_PAGE).get_page(request.GET.get("page"))
    if twin:
        found = [twins.campaign_twin(campaign) for campaign in page]
        return JsonResponse({"campaigns": found, "pages": page.paginator.num_pages})
    lines = [(campaign, pages.status_of(campaign), pages.says(campaign)) for campaign in page]
    return render(request, "gates/campaigns.html", {"page": page, "lines": lines, **start_offer(request.user)})


@require_safe
def campaign(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    row = _campaign_or_404(pk)
    context = pages.campaign_context(row, timezone.now())
    if not twin:
        return render(request, "gates/campaign.html", context)
    return JsonResponse(
        {
            **twins.campaign_twin(row),
            "gates": [step_twin(step) for step in context["rail"]],
            "criteria": {each["run"].gate: each["criteria"] for each in context["gates"]},
            "incident": context["incident"] and context["incident"].pk,
            "reviews": context["reviews"],
            "report": context["report"] and context["report"].file_name,
            "happened": [twins.happened_twin(each) for each in context["happened"]],
        }
    )


@require_safe
def campaign_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer 204 while nothing of the campaign moved, else its live part."""
    row = _campaign_or_404(pk)
    if request.GET.get("since") == pages.cursor(row):
        return HttpResponse(status=204)
    return render(request, "gates/campaign.html#live", pages.campaign_context(row, timezone.now()))


@require_safe
def compare(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    """Two campaigns side by side: `before` and `after` are their numbers."""
    before, after = (_named(request.GET.get(name, "")) for name in ("before", "after"))
    context = pages.compared(before, after)
    if not twin:
        return render(request, "gates/compare_campaigns.html", context)
    gates = [{"gate": each["gate"], "criteria": each["criteria"]} for each in context["gates"]]
    ends = {name: twins.campaign_twin(each) for name, each in (("before", before), ("after", after))}
    return JsonResponse({**ends, "gates": gates, "rules": context["rules"]})


@require_POST
@permission_required(START_RUN, raise_exception=True)
def start(request: HttpRequest) -> HttpResponse:
    """Start a campaign whose gates open by themselves, and show it."""
    target = standing_targets().filter(name=request.POST.get("target", "")).first()
    try:
        if target is None:
            raise commands.CannotStartError("There is no such target: choose one of the list.")
        run = commands.start_campaign(
            target,
            profile=request.POST.get("profile", ""),
            started_by=cast("User", request.user),
            now=timezone.now(),
            whole=True,
            repeat_reason=request.POST.get("because", "")[:500],
        )
    except (commands.CannotStartError, PlanError, TargetUnreachableError) as error:
        messages.error(request, str(error))
        return redirect("gates:campaigns")
    return redirect("gates:campaign", run.campaign_id)


@require_POST
@permission_required(WRITE_REVIEW, raise_exception=True)
def review(request: HttpRequest, pk: int) -> HttpResponse:
    """Write the review of a run in a line."""
    row = get_object_or_404(Review.objects.select_related("run"), pk=pk)
    try:
        words = request.POST.get("words", "")
        write_review(row.pk, person=cast("User", request.user), words=words, now=timezone.now())
    except ReviewRefusedError as error:
        messages.error(request, str(error))
    return redirect(f"{row.run.get_absolute_url()}#reviews-title")


def _named(text: str) -> Campaign:
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise Http404("Name two campaigns by their numbers.")
    return _campaign_or_404(int(text))


def _campaign_or_404(pk: int) -> Campaign:
    return get_object_or_404(Campaign.objects.select_related("target", "previous", "started_by"), pk=pk)
