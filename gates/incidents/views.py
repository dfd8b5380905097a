"""The page of an incident, and its steps: each a form of its own, refused in one sentence where it is not its turn."""

from collections.abc import Callable
from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from gates.campaigns.pages import incident_context
from gates.campaigns.twins import incident_twin
from gates.incidents import commands
from gates.incidents.commands import IncidentRefusedError
from gates.models import Incident
from gates.roles import APPROVE_INCIDENT, WORK_INCIDENT

MOST_TIED = 50


@require_safe
def incident(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    row = _incident_or_404(pk)
    if twin:
        return JsonResponse(incident_twin(row))
    return render(request, "gates/incident.html", incident_context(row, request.user.pk))


@require_POST
def step(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Take a step of the protocol, as a person with the right to it."""
    row = _incident_or_404(pk)
    right, take = STEPS[name]
    person = cast("User", request.user)
    if not person.has_perm(right):
        raise PermissionDenied
    try:
        take(request, row, person)
    except IncidentRefusedError as error:
        messages.error(request, str(error))
    return redirect(row)


def _investigate(request: HttpRequest, row: Incident, person: User) -> None:
    chosen = [int(text) for text in request.POST.getlist("finding")[:MOST_TIED] if text.isascii() and text.isdigit()]
    words = request.POST.get("cause", "")
    commands.investigate(row.pk, cause=words, findings=chosen, person=person, now=timezone.now())


def _fix(request: HttpRequest, row: Incident, person: User) -> None:
    build = commands.build_now(row.campaign)  # as the target shows it: nobody types it
    commands.fix(row.pk, words=request.POST.get("fix", ""), build=build, person=person, now=timezone.now())


def _prove(request: HttpRequest, row: Incident, person: User) -> None:
    test = request.POST.get("test", "").strip()
    commands.ask_for_proof(row.pk, test=test, person=person, now=timezone.now())


def _strike(request: HttpRequest, row: Incident, person: User) -> None:
    text = request.POST.get("point", "")
    point_id = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    commands.ask_for_strike(row.pk, point_id=point_id, person=person, now=timezone.now())


def _accept(request: HttpRequest, row: Incident, person: User) -> None:
    commands.accept_proof(row.pk, person=person, now=timezone.now())


def _approve(request: HttpRequest, row: Incident, person: User) -> None:
    words = request.POST.get("approval", "")
    commands.approve_restart(row.pk, words=words, person=person, now=timezone.now())


def _send_back(request: HttpRequest, row: Incident, person: User) -> None:
    commands.send_back(row.pk, now=timezone.now())


STEPS: dict[str, tuple[str, Callable[[HttpRequest, Incident, User], None]]] = {
    "investigate": (WORK_INCIDENT, _investigate),
    "fix": (WORK_INCIDENT, _fix),
    "prove": (WORK_INCIDENT, _prove),
    "strike": (WORK_INCIDENT, _strike),
    "accept": (WORK_INCIDENT, _accept),
    "approve": (APPROVE_INCIDENT, _approve),
    "send-back": (APPROVE_INCIDENT, _send_back),
}


def _incident_or_404(pk: int) -> Incident:
    people = ("investigated_by", "fixed_by", "tested_by", "approved_by")
    return get_object_or_404(Incident.objects.select_related("campaign__target", *people), pk=pk)
