"""The inbox, one alert, and its acknowledgement; and what every page asks for: whether a critical one is open."""

import hashlib
import json
from datetime import datetime
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from gates.alerts.commands import AlertRefusedError, acknowledge
from gates.alerts.pages import inbox, twins
from gates.alerts.pages.causes import cause_of
from gates.alerts.pages.runbooks import runbook_of, watch_of
from gates.alerts.pages.times import LIMIT_S
from gates.models import Alert, Delivery
from gates.pages.rows import last_tick_at
from gates.roles import ACKNOWLEDGE

ALERTS_A_PAGE = 100
MOST_STEPS = 200
MOST_BEFORE = 50
MOST_DELIVERIES = 100
REFUSED = 409  # what was asked does not fit what is
NOT_YOURS = "Your role does not acknowledge alerts: an engineer, auditor, risk officer or owner does."


@require_safe
@never_cache
def alerts(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    """The inbox: what is open, least time left first."""
    context = _inbox(request)
    if twin:
        return JsonResponse(
            {
                **twins.standing_twin(context["standing"]),
                "alerts": [twins.line_twin(alert) for alert in context["page"]],
                "pages": context["page"].paginator.num_pages,
            }
        )
    return render(request, "gates/alerts.html", context | inbox.choices())


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """Answer 204 while no alert moved, else the live part of the inbox as it was asked for."""
    if request.GET.get("since") == inbox.cursor():
        return with_tick(HttpResponse(status=204))
    return with_tick(render(request, "gates/alerts.html#live", _inbox(request)))


@require_safe
@never_cache
def now(request: HttpRequest) -> HttpResponse:
    """What every page asks again and again: 204 while it knows, else the counts, the newest critical alert, and which
    parts of the portal have stopped."""
    at = timezone.now()
    told = twins.standing_twin(inbox.standing(at)) | {"stopped": inbox.stopped_words(at)}
    mark = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    if request.GET.get("since") == mark:
        return with_tick(HttpResponse(status=204))
    return with_tick(JsonResponse({**told, "mark": mark}))


@require_safe
@never_cache
def alert(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    row = _alert_or_404(pk)
    if twin:
        steps = row.steps.select_related("person").order_by("pk")[:MOST_STEPS]
        return JsonResponse(
            {
                **twins.line_twin(row),
                "cause": twins.cause_twin(cause_of(row)),
                "recheck": row.recheck,
                "deliveries": [twins.delivery_twin(one) for one in deliveries_of(row)],
                "steps": [twins.step_twin(step) for step in steps],
            }
        )
    return _page(request, row)


@require_POST
def acknowledge_alert(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that one knows, in words; what is refused keeps the words and says why in one sentence."""
    words, back = request.POST.get("words", ""), request.POST.get("next", "")
    if not request.user.has_perm(ACKNOWLEDGE):
        return _page(request, _alert_or_404(pk), refusal=NOT_YOURS, words=words, status=403)
    try:
        row = acknowledge(
            pk,
            person=cast("User", request.user),
            words=words,
            now=timezone.now(),
            opening=_number(request.POST.get("opening", "")),
        )
    except AlertRefusedError as error:
        return _page(request, _alert_or_404(pk), refusal=str(error), words=words, status=REFUSED)
    messages.success(request, f"You acknowledged alert {row.pk}. It stays in the inbox until a re-check is clean.")
    ours = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(back if ours else row.get_absolute_url())


def with_tick(response: HttpResponse) -> HttpResponse:
    """Tell a polling page when the last tick was, even when nothing else moved."""
    if at := last_tick_at():
        response["Last-Tick"] = at.isoformat()
    return response


def _inbox(request: HttpRequest) -> dict[str, Any]:
    wanted = inbox.Wanted.asked(request.GET)
    at = timezone.now()
    cursor = inbox.cursor()  # before the rows: what happens between the two is shown twice and never missed
    found = inbox.alerts_of(wanted, cast("User", request.user))
    query = request.GET.copy()
    for name in ("page", "since"):
        query.pop(name, None)
    return {
        "now": at,
        "cursor": cursor,
        "wanted": wanted,
        "page": Paginator(found, ALERTS_A_PAGE).get_page(request.GET.get("page")),
        "query": query.urlencode(),
        "standing": inbox.standing(at),
        "may_acknowledge": request.user.has_perm(ACKNOWLEDGE),
        "states": tuple(inbox.STATES),
        "levels": ("critical", "high", "medium"),
    }


def _page(request: HttpRequest, row: Alert, *, refusal: str = "", words: str = "", status: int = 200) -> HttpResponse:
    before = Alert.objects.filter(rule=row.rule).exclude(pk=row.pk).select_related("run__campaign", "target")
    steps = list(row.steps.select_related("person").order_by("-pk")[:MOST_STEPS])
    context: dict[str, Any] = {
        "alert": row,
        "now": timezone.now(),
        "cause": cause_of(row),
        "steps": steps,
        "most_steps": MOST_STEPS,
        "times": times_of(row),
        "runbook": runbook_of(row.rule),
        "watch": watch_of(row),
        "deliveries": deliveries_of(row),
        "before": list(before.order_by("-raised_at")[:MOST_BEFORE]),
        "before_count": before.count(),
        "refusal": refusal,
        "words": words,
        "may_acknowledge": request.user.has_perm(ACKNOWLEDGE),
        "not_yours": NOT_YOURS,
    }
    return render(request, "gates/alert.html", context, status=status)


def deliveries_of(row: Alert) -> list[Delivery]:
    """Return what was told of the alert, the newest first; `after_s` is seconds from the event of its first opening."""
    found = list(row.deliveries.select_related("route").order_by("-pk")[:MOST_DELIVERIES])
    for one in found:
        since = row.event_at if one.occasion == Delivery.Occasion.RAISED and row.openings == 1 else one.cut_at
        one.after_s = (one.delivered_at - since).total_seconds() if one.delivered_at else None  # type: ignore[attr-defined]
    return found


def times_of(row: Alert) -> list[dict[str, Any]]:
    """Return the three times of an alert, each with the seconds since the event, and whether that is within 5 s."""
    return [_time(row, name, at) for name, at in (("raised", row.raised_at), ("delivered", row.delivered_at))]


def _time(row: Alert, name: str, at: datetime | None) -> dict[str, Any]:
    after_s = (at - row.event_at).total_seconds() if at else None
    return {"name": name, "at": at, "after_s": after_s, "in_time": after_s is not None and after_s <= LIMIT_S}


def _alert_or_404(pk: int) -> Alert:
    found = Alert.objects.select_related("target", "run__campaign__target")
    return get_object_or_404(found.annotate(known_by=inbox.known_by()), pk=pk)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
