"""Starting gate 1 in the browser: offered to those who may, asked for by POST, refused in one sentence."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from gates import commands
from gates.alerts.delivery.reaching import reach
from gates.plans import PLANS, PlanError
from gates.roles import START_RUN
from gates.targets.access import TargetUnreachableError
from gates.targets.queries import standing_targets

REHEARSAL = "rehearsal"
MOST_TARGETS = 1000


@require_POST
@permission_required(START_RUN, raise_exception=True)
def start(request: HttpRequest) -> HttpResponse:
    """Start a campaign with the target and the profile named in the form, and show its run."""
    target = standing_targets().filter(name=request.POST.get("target", "")).first()
    try:
        if target is None:
            raise commands.CannotStartError("There is no such target: choose one of the list.")
        profile, user = request.POST.get("profile", ""), cast("User", request.user)
        run = commands.start_campaign(target, profile=profile, started_by=user, now=timezone.now())
    except (commands.CannotStartError, PlanError, TargetUnreachableError) as error:
        messages.error(request, str(error))
        return redirect("gates:runs")
    return HttpResponseRedirect(run.get_absolute_url())


def start_offer(user: AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
    """Return what the forms offer: targets and profiles, none to those who may not start; whether there is the
    rehearsal target, for the one button of an empty dashboard; and why nobody would hear of a critical alert, else
    nothing."""
    if not cast("User", user).has_perm(START_RUN):
        return {"targets": [], "profiles": [], "rehearsal": False}
    targets = list(standing_targets().values_list("name", flat=True)[:MOST_TARGETS])
    alerts = reach()
    return {
        "targets": targets,
        "unheard": "" if alerts.met else alerts.words,
        "profiles": [(plan.profile, plan.duration_s) for plan in PLANS],
        "rehearsal": REHEARSAL in targets,
    }
