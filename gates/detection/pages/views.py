"""The catalogue of planted defects as a matrix, and one defect: what caught it, and the rows that are wrong."""

import subprocess
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from gates.chaos import commands
from gates.chaos.commands import Asked
from gates.chaos.pages import differences
from gates.chaos.pages.start import BAD_START, CELLS_OF_ONE
from gates.detection import queries
from gates.detection.catalogue import Planted, UnknownDefectError, named
from gates.detection.pages import twins
from gates.detection.targets import planted_target
from gates.models import RehearsedDefect, Target
from gates.roles import START_RUN

PROFILE = "smoke"
UNTOLD = (OSError, subprocess.SubprocessError)


@require_safe
def defects(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    try:
        standing = queries.standing()
    except UNTOLD as error:
        return HttpResponse(f"The catalogue cannot be had from the bundled target: {error}", status=503)
    if twin:
        return JsonResponse(twins.standing_twin(standing))
    return render(request, "gates/defects.html", {"standing": standing})


@require_safe
def defects_live(request: HttpRequest) -> HttpResponse:
    """Answer 204 while nothing new is known, else the live part; the last one asks no more."""
    standing = queries.standing()
    if request.GET.get("since") == str(standing.cursor):
        return HttpResponse(status=204)
    return render(request, "gates/defects.html#live", {"standing": standing})


@require_safe
def defect(request: HttpRequest, name: str, *, twin: bool = False) -> HttpResponse:
    planted = _defect_or_404(name)
    earlier = queries.earlier(name)
    last = RehearsedDefect.objects.select_related("rehearsal").get(pk=earlier[0].pk) if earlier else None
    lane = queries.Lane(planted, last)
    if twin:
        return JsonResponse(twins.defect_twin(lane, earlier))
    result = last.result if last else {}
    context = {
        "lane": lane,
        "planted": planted,
        "last": last,
        "result": result,
        "changed": differences.changed_rows(result.get("changes") or {}),
        "changed_again": differences.changed_again(result.get("changes") or {}),
        "passages": differences.passages_of(result.get("messages") or ()),
        "earlier": earlier,
        "command": f"uv run manage.py rehearse_defect {name}",
        "may_strike": _may_strike(request, planted),
        **_around(planted),
    }
    return render(request, "gates/defect.html", context)


@require_POST
@permission_required(START_RUN, raise_exception=True)
def strike(request: HttpRequest, name: str) -> HttpResponse:
    """Make the strike that caught it again in the portal, on a target of its own; without one, its first scenario."""
    planted = _defect_or_404(name)
    last = next((row for row in queries.earlier(name) if row.strike), None)
    try:
        if not planted.scenarios:
            raise commands.CannotStrikeError(f"{name} shows without a strike: rehearse it in a terminal.")
        run = commands.start_chaos(_asked(planted, last), started_by=cast("User", request.user), now=timezone.now())
    except BAD_START as error:
        messages.error(request, str(error))
        return redirect("gates:defect", name)
    return HttpResponseRedirect(run.get_absolute_url())


def _asked(planted: Planted, last: RehearsedDefect | None) -> Asked:
    target = planted_target(planted.name, now=timezone.now())
    if last is None:
        return Asked(target, PROFILE, planted.scenarios[:1], depth=planted.depth)
    made = last.strike
    return Asked(
        target,
        PROFILE,
        (made["scenario"],),
        operation=made["operation"],
        point=made["point"],
        strike=made["first_fault"],
        then=made["then_point"],
        cells=CELLS_OF_ONE,
    )


def _may_strike(request: HttpRequest, planted: Planted) -> bool:
    may = cast("User", request.user).has_perm(START_RUN)
    return may and bool(planted.scenarios) and Target.objects.filter(name="rehearsal").exists()


def _around(planted: Planted) -> dict[str, Any]:
    """Its neighbours in the catalogue."""
    listed = queries.planted_defects()
    place = listed.index(planted)
    return {
        "before": listed[place - 1] if place else None,
        "after": listed[place + 1] if place + 1 < len(listed) else None,
    }


def _defect_or_404(name: str) -> Planted:
    try:
        return named(queries.planted_defects(), name)
    except (UnknownDefectError, *UNTOLD) as error:
        raise Http404(str(error)) from error
