"""Starting gate 2 in the browser, whole or one strike again: by those who may, by POST, refused in one sentence."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from gates.chaos import commands
from gates.chaos.commands import Asked, CannotStrikeError
from gates.chaos.engine import trial_rows
from gates.chaos.plans import CHAOS_PLANS
from gates.chaos.safety import UnsafeError
from gates.chaos.scenarios import NAMES, SCENARIOS
from gates.chaos.scenarios.own import own_scenarios
from gates.models import CrashPoint, Target
from gates.plans import UnknownProfileError
from gates.roles import START_RUN
from gates.targets.access import TargetUnreachableError
from gates.targets.queries import standing_targets

BAD_START = (CannotStrikeError, UnknownProfileError, UnsafeError, TargetUnreachableError)
MOST_TARGETS = 1000
CELLS_OF_ONE = 2  # for one strike and, where it is asked for, those in its recovery


@require_POST
@permission_required(START_RUN, raise_exception=True)
def start(request: HttpRequest) -> HttpResponse:
    """Start chaos on the target named in the form, all its scenarios or one, and show its run."""
    target = standing_targets().filter(name=request.POST.get("target", "")).first()
    try:
        if target is None:
            raise CannotStrikeError("There is no such target: choose one of the list.")
        only = request.POST.get("scenario", "")
        asked = Asked(target, request.POST.get("profile", ""), (only,) if only else ())
        run = commands.start_chaos(asked, started_by=cast("User", request.user), now=timezone.now())
    except BAD_START as error:
        messages.error(request, str(error))
        return redirect("gates:chaos")
    return HttpResponseRedirect(run.get_absolute_url())


@require_POST
@permission_required(START_RUN, raise_exception=True)
def repeat(request: HttpRequest, pk: int) -> HttpResponse:
    """Make exactly this strike again, as a run of its own, which never counts as gate 2."""
    point = get_object_or_404(CrashPoint.objects.select_related("scenario__run__campaign__target"), pk=pk)
    campaign = point.scenario.run.campaign
    asked = Asked(
        campaign.target,
        campaign.profile,
        (point.scenario.name,),
        operation=point.operation,
        point=point.point,
        strike=trial_rows.trial_of(point).first_fault,
        then=point.then_point,
        cells=CELLS_OF_ONE,
    )
    try:
        run = commands.start_chaos(asked, started_by=cast("User", request.user), now=timezone.now())
    except BAD_START as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(point.get_absolute_url())
    return HttpResponseRedirect(run.get_absolute_url())


def start_offer(user: AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
    """What the form offers: targets, profiles and scenarios; no target to those who may not start."""
    may = cast("User", user).has_perm(START_RUN)
    targets = list(standing_targets()[:MOST_TARGETS]) if may else []
    return {
        "may_start": may,
        "targets": [target.name for target in targets],
        "own": [(target.name, own) for target in targets if (own := _own(target))],
        "profiles": [(plan.profile, _extent(plan.sampled), plan.limit_s) for plan in CHAOS_PLANS],
        "scenarios": [(scenario.name, scenario.title) for scenario in SCENARIOS],
    }


def _own(target: Target) -> list[tuple[str, str]]:
    """The scenarios that a target's description adds; none where they cannot be read, which a start says in words."""
    try:
        found = own_scenarios(target.spec, taken=NAMES)
    except TargetUnreachableError:
        return []
    return [(scenario.name, scenario.title) for scenario in found]


def _extent(sampled: int) -> str:
    return f"{sampled} strike{'' if sampled == 1 else 's'} of each kind" if sampled else "every crash point"
