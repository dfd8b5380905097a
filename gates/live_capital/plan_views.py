"""The pages of a capital plan: proposing it, deciding about it, opening gate 4 with it."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from gates.live_capital.commands import REFUSALS, open_gate_4
from gates.live_capital.plan_commands import PlanRefusedError, decide_plan, propose_plan
from gates.live_capital.standing import plan_words
from gates.live_capital.terms import BadTermsError
from gates.live_capital.turns import opens_now
from gates.models import Campaign, CapitalPlan
from gates.models.capital import TERMS
from gates.roles import APPROVE_CAPITAL, PROPOSE_CAPITAL, START_RUN
from gates.signoff.proving import address_to_give, proof_of

REFUSED = 409  # what was asked does not fit what is
State = CapitalPlan.State
NOT_YOURS = "Your role does not decide about capital: a risk officer or an owner does."


@permission_required(PROPOSE_CAPITAL, raise_exception=True)
def propose(request: HttpRequest, pk: int) -> HttpResponse:
    """The form, and what it sends; what is refused keeps the person's words."""
    campaign = get_object_or_404(Campaign.objects.select_related("target"), pk=pk)
    given = {name: request.POST.get(name, "") for name in (*TERMS, "reason")}
    refusal = ""
    if request.method == "POST":
        try:
            plan = propose_plan(pk, given, by=cast("User", request.user), now=timezone.now())
        except (BadTermsError, PlanRefusedError) as error:
            refusal = str(error)
        else:
            messages.success(request, "The plan is proposed: another person approves or refuses it.")
            return HttpResponseRedirect(plan.get_absolute_url())
    context = {"campaign": campaign, "given": given, "refusal": refusal}
    return render(request, "gates/propose_capital.html", context, status=REFUSED if refusal else 200)


@require_safe
@never_cache
def plan(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    row = _plan_or_404(pk)
    return JsonResponse(plan_words(row)) if twin else _page(request, row)


@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve, refuse or withdraw; approving and refusing ask for who the person is once more."""
    row, decision = _plan_or_404(pk), request.POST.get("decision", "")
    words = request.POST.get("words", "")
    user = cast("User", request.user)
    if not user.has_perm(PROPOSE_CAPITAL if decision == State.WITHDRAWN else APPROVE_CAPITAL):
        return _page(request, row, refusal=NOT_YOURS, words=words, status=403)
    if decision != State.WITHDRAWN and (lacking := proof_of(request).lacking(timezone.now())):
        refusal = f"Say again who you are: {' and '.join(lacking)}."
        return _page(request, row, refusal=refusal, words=words, status=REFUSED)
    try:
        row = decide_plan(pk, decision, by=user, words=words, now=timezone.now())
    except PlanRefusedError as error:
        return _page(request, _plan_or_404(pk), refusal=str(error), words=words, status=REFUSED)
    messages.success(request, f"The plan is {row.state}.")
    return HttpResponseRedirect(row.get_absolute_url())


@require_POST
@permission_required(START_RUN, raise_exception=True)
def open_gate(request: HttpRequest, pk: int) -> HttpResponse:
    """Open gate 4 with the plan, and show its first day."""
    row = _plan_or_404(pk)
    shut = opens_now(row)
    try:
        if shut:
            return _page(request, row, refusal=shut, status=REFUSED)
        run = open_gate_4(row, started_by=cast("User", request.user), now=timezone.now())
    except REFUSALS as error:
        return _page(request, row, refusal=str(error), status=REFUSED)
    return HttpResponseRedirect(run.get_absolute_url())


def _page(
    request: HttpRequest, row: CapitalPlan, *, refusal: str = "", words: str = "", status: int = 200
) -> HttpResponse:
    user = cast("User", request.user)
    may_decide = user.has_perm(APPROVE_CAPITAL)
    why_not_open = opens_now(row) or ("" if user.has_perm(START_RUN) else "Your role does not start runs.")
    context: dict[str, Any] = {
        "plan": row,
        "own": row.proposed_by_id == user.pk,
        "refusal": refusal,
        "words": words,
        "why_not_decide": "" if may_decide else NOT_YOURS,
        "desk": {"lacking": _lacking(request, row) if may_decide and row.state == State.PROPOSED else []},
        "months": list(row.months.select_related("run").order_by("month")),
        "why_not_open": why_not_open,
    }
    return render(request, "gates/capital_plan.html", context, status=status)


def _lacking(request: HttpRequest, row: CapitalPlan) -> list[tuple[str, str]]:
    back = row.get_absolute_url()
    return [(what, address_to_give(what, back)) for what in proof_of(request).lacking(timezone.now())]


def _plan_or_404(pk: int) -> CapitalPlan:
    return get_object_or_404(CapitalPlan.objects.select_related("campaign__target", "proposed_by", "decided_by"), pk=pk)
