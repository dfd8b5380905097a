"""The sign-off page and its three forms. What is refused keeps the person's words."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from gates.models import Campaign
from gates.roles import REVIEW_CODE, SIGN_OFF
from gates.signoff import commands
from gates.signoff.page import address, desk_of, facts_of, may_review
from gates.signoff.proving import proof_of
from gates.signoff.twins import signoff_twin

REFUSED = 409  # what was asked does not fit what is


@require_safe
@never_cache
def sign_off(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    campaign = _campaign_or_404(pk)
    if twin:
        return JsonResponse(signoff_twin(facts_of(campaign, timezone.now())))
    return _page(request, campaign)


@require_POST
@permission_required(SIGN_OFF, raise_exception=True)
def sign(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep the decision of the form; refused, show the page as it is now, with the sentence and the words."""
    campaign = _campaign_or_404(pk)
    given = {name: request.POST.get(name, "") for name in ("role", "decision", "statement", "phrase", "stage")}
    asked = commands.Asked(
        campaign_id=campaign.pk,
        person=cast("User", request.user),
        evidence_sha256=request.POST.get("evidence_sha256", ""),
        build=request.POST.get("build", ""),
        proof=proof_of(request),
        **given,
    )
    try:
        row = commands.sign(asked, timezone.now())
    except commands.SignOffRefusedError as error:
        return _page(request, _campaign_or_404(pk), refused={"sign": str(error)}, given=given)
    done = "approved" if row.decision == commands.APPROVE else "refused"
    messages.success(request, f"You have {done} as {row.role}: decision {row.number} of this campaign.")
    return redirect(f"{address(campaign)}#signatures")


@require_POST
@permission_required(SIGN_OFF, raise_exception=True)
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    campaign = _campaign_or_404(pk)
    number = request.POST.get("decision", "")
    made = campaign.sign_offs.filter(pk=int(number)).first() if number.isdecimal() and len(number) < 19 else None
    statement, person = request.POST.get("statement", ""), cast("User", request.user)
    try:
        if made is None:
            raise commands.SignOffRefusedError("There is no such decision to withdraw.")
        commands.withdraw(made.pk, person=person, statement=statement, proof=proof_of(request), now=timezone.now())
    except commands.SignOffRefusedError as error:
        return _page(request, _campaign_or_404(pk), refused={"withdraw": str(error)}, given={"withdrawal": statement})
    messages.success(request, f"You have withdrawn your decision as {made.role}; both stay on record.")
    return redirect(f"{address(campaign)}#signatures")


@require_POST
@permission_required(REVIEW_CODE, raise_exception=True)
def review(request: HttpRequest, pk: int) -> HttpResponse:
    campaign = _campaign_or_404(pk)
    outcome = request.POST.get("outcome", "")
    given = {name: request.POST.get(name, "") for name in ("review", "reference")}
    try:
        if outcome not in ("accepted", "rejected"):
            raise commands.SignOffRefusedError("Say whether you accept the code or not.")
        reviewed = commands.Reviewed(
            campaign.pk, request.POST.get("build", ""), outcome == "accepted", given["review"], given["reference"]
        )
        commands.record_review(reviewed, reviewer=cast("User", request.user), now=timezone.now())
    except commands.SignOffRefusedError as error:
        return _page(request, _campaign_or_404(pk), refused={"review": str(error)}, given=given)
    messages.success(request, "Your code review is recorded.")
    return redirect(f"{address(campaign)}#review")


def _campaign_or_404(pk: int) -> Campaign:
    return get_object_or_404(Campaign.objects.select_related("target", "started_by"), pk=pk)


def _page(
    request: HttpRequest,
    campaign: Campaign,
    *,
    refused: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
) -> HttpResponse:
    facts = facts_of(campaign, timezone.now())
    person = cast("User", request.user)
    context: dict[str, Any] = {
        **facts,
        "desk": desk_of(campaign, person, proof_of(request), facts),
        "may_review": may_review(campaign, person),
        "refused": refused or {},
        "given": given or {},
    }
    return render(request, "gates/sign_off.html", context, status=REFUSED if refused else 200)
