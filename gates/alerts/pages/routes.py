"""The pages of routes and drills: ways to people, and the proof that they lead to them."""

from dataclasses import asdict
from datetime import time
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from gates.alerts.delivery import drills as drilling
from gates.alerts.delivery.routes import RouteRefusedError, Wanted, add_route, change_route
from gates.models import Drill, Route
from gates.models.slots import LEVELS
from gates.pages.twins import moment
from gates.role_names import ROLE_NAMES
from gates.roles import DRILL_ALERTS, KEEP_ROUTES

REFUSED = 409
MOST_ROUTES = 200
MOST_DRILLS = 20
LEVEL_NAMES = tuple(level for level, _ in LEVELS)
OFF = "off. What still waits for it is given up, and goes by another route where nobody else was told"
BAD_TIME = "Quiet hours are two times such as 22:00 and 06:30, or none."


@require_safe
@never_cache
def routes(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    rows = list(Route.objects.order_by("-active", "name")[:MOST_ROUTES])
    if twin:
        return JsonResponse({"routes": [route_twin(row) for row in rows]})
    context = {"routes": [(row, standing(row)) for row in rows], "may_keep": request.user.has_perm(KEEP_ROUTES)}
    return render(request, "gates/routes.html", context)


@permission_required(KEEP_ROUTES, raise_exception=True)
def edit_route(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """The form of a new route or of one that is there, and what it sends; what is refused keeps what was written."""
    row = get_object_or_404(Route, pk=pk) if pk is not None else None
    given, refusal = _given(request) if request.method == "POST" else _of(row), ""
    if request.method == "POST":
        try:
            wanted = _wanted(given)
            kept = add_route(wanted, timezone.now()) if row is None else change_route(row.pk, wanted)
        except RouteRefusedError as error:
            refusal = str(error)
        else:
            messages.success(request, f"Route {kept.name} is kept. The delivering process looks at its address now.")
            return redirect("gates:routes")
    context = {
        "route": row,
        "given": given,
        "refusal": refusal,
        "level_names": LEVEL_NAMES,
        "role_names": ROLE_NAMES,
        "changes": list(row.changes.order_by("-pgh_created_at")[:20]) if row else [],  # type: ignore[attr-defined]
    }
    return render(request, "gates/route.html", context, status=REFUSED if refusal else 200)


@require_POST
@permission_required(KEEP_ROUTES, raise_exception=True)
def switch_route(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a route off, or on again; it is never removed, since what went by it stays on record."""
    row = get_object_or_404(Route, pk=pk)
    given = _of(row) | {"active": request.POST.get("active") == "on"}
    try:
        kept = change_route(row.pk, _wanted(given))
    except RouteRefusedError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Route {kept.name} is {'on' if kept.active else OFF}.")
    return redirect("gates:routes")


@require_safe
@never_cache
def drills(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    now = timezone.now()
    found = [(row, drilling.judged(row, now)) for row in Drill.objects.select_related("started_by")[:MOST_DRILLS]]
    if twin:
        return JsonResponse({"drills": [drill_twin(row, judged) for row, judged in found]})
    return _drills(request, found)


@require_POST
@permission_required(DRILL_ALERTS, raise_exception=True)
def start_drill(request: HttpRequest) -> HttpResponse:
    try:
        drilling.start(cast("User", request.user), timezone.now())
    except drilling.DrillRefusedError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The drill began: each route in use gets a message with a code that proves it came.")
    return redirect("gates:drills")


@require_POST
def answer_drill(request: HttpRequest) -> HttpResponse:
    """Whoever received a message says so by its code; everybody who is signed in may."""
    try:
        answer = drilling.answer(request.POST.get("code", "")[:100], cast("User", request.user), timezone.now())
    except drilling.DrillRefusedError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Received by {answer.delivery.route.name}, and noted under your name.")
    return HttpResponseRedirect(reverse("gates:drills"))


def _drills(request: HttpRequest, found: list[tuple[Drill, drilling.Judged]]) -> HttpResponse:
    context = {
        "drills": found,
        "routes": Route.objects.filter(active=True).count(),
        "may_start": request.user.has_perm(DRILL_ALERTS),
        "limit": drilling.ANSWER_LIMIT,
    }
    return render(request, "gates/drills.html", context)


def standing(row: Route) -> tuple[str, str]:
    """Return the status of a route and what it says; one that nothing was delivered by proves nothing yet."""
    if not row.active:
        return "waiting", "switched off"
    if row.trouble:
        return "failed", row.trouble
    if row.failures:
        return "failed", f"{row.failures} tries failed since the last that was well: {row.last_error}"
    if row.last_delivered_at is None:
        return "inconclusive", "nothing was delivered by it yet: start a drill"
    return "passed", "delivers"


def _given(request: HttpRequest) -> dict[str, Any]:
    names = ("name", "address", "quiet_from", "quiet_until", "time_zone")
    texts = {name: request.POST.get(name, "").replace("\0", "").strip() for name in names}
    lists = {name: request.POST.getlist(name)[:10] for name in ("levels", "roles")}
    return {**texts, **lists, "active": request.POST.get("active") == "on"}


def _of(row: Route | None) -> dict[str, Any]:
    if row is None:
        return asdict(Wanted("", "env:", LEVEL_NAMES)) | {"quiet_from": "", "quiet_until": ""}
    return {
        "name": row.name,
        "address": row.address,
        "levels": row.levels,
        "roles": row.roles,
        "quiet_from": f"{row.quiet_from:%H:%M}" if row.quiet_from else "",
        "quiet_until": f"{row.quiet_until:%H:%M}" if row.quiet_until else "",
        "time_zone": row.time_zone,
        "active": row.active,
    }


def _wanted(given: dict[str, Any]) -> Wanted:
    """Return the route that is wanted. Raises RouteRefusedError for quiet hours that are no times."""
    hours = (given["quiet_from"], given["quiet_until"])
    try:
        quiet = (time.fromisoformat(hours[0]), time.fromisoformat(hours[1])) if any(hours) else None
    except ValueError:
        raise RouteRefusedError(BAD_TIME) from None
    return Wanted(
        name=given["name"],
        address=given["address"],
        levels=tuple(given["levels"]),
        roles=tuple(given["roles"]),
        quiet=quiet,
        time_zone=given["time_zone"] or "UTC",
        active=given["active"],
    )


def route_twin(row: Route) -> dict[str, Any]:
    """A route as JSON: the name of its address, never the address."""
    status, words = standing(row)
    return {
        "route": row.pk,
        **{name: getattr(row, name) for name in ("name", "address", "levels", "roles", "time_zone", "active")},
        "quiet": [f"{row.quiet_from:%H:%M}", f"{row.quiet_until:%H:%M}"]
        if row.quiet_from and row.quiet_until
        else None,
        "status": status,
        "says": words,
        "last_delivered_at": moment(row.last_delivered_at),
        "last_failed_at": moment(row.last_failed_at),
    }


def drill_twin(row: Drill, judged: drilling.Judged) -> dict[str, Any]:
    return {
        "drill": row.pk,
        "started_at": moment(row.started_at),
        "started_by": row.started_by.get_username() if row.started_by else None,
        "routes": row.routes,
        "verdict": judged.verdict,
        "messages": [
            {
                "route": message.route,
                "quiet_hours": message.quiet,
                "verdict": message.verdict,
                "says": message.words,
                "answered_by": message.answered_by,
                "answered_after_s": message.answered_after.total_seconds() if message.answered_after else None,
            }
            for message in judged.messages
        ],
    }
