"""The page of the brokers' streams: who holds them, how each one is, and which gap leaves which criterion open."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Prefetch, When
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from gates.criteria import STOPS
from gates.models import Run, Stream, StreamGap, StreamLease
from gates.pages.rows import last_tick_at
from gates.pages.twins import moment
from gates.queries import stands_by_slots
from gates.streams.lease import NAME

MOST_RUNS = 50
MOST_GAPS = 50
OLD = timedelta(seconds=15)  # a heartbeat comes every five seconds: two may be lost


@require_safe
@never_cache
def streams(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    context = _context()
    if twin:
        return JsonResponse(
            {"lease": _lease_twin(context["lease"]), "runs": [_run_twin(each) for each in context["runs"]]}
        )
    return render(request, "gates/streams.html", context)


@require_safe
@never_cache
def streams_live(request: HttpRequest) -> HttpResponse:
    """The live part, new each time: a stream's age moves with every line."""
    response = render(request, "gates/streams.html#live", _context())
    if at := last_tick_at():
        response["Last-Tick"] = at.isoformat()
    return response


def _context() -> dict[str, Any]:
    now = timezone.now()
    found = Run.objects.filter(streams__isnull=False).distinct().select_related("campaign__target")
    newest = Prefetch("streams", Stream.objects.order_by("kind"))
    runs = list(found.prefetch_related(newest).order_by("-state", "-pk")[:MOST_RUNS])
    stood = Case(When(stands_by_slots(), then=True), default=False)
    gaps = StreamGap.objects.filter(run__in=runs).annotate(by_slots=stood).order_by("-since", "-pk")
    kept: dict[int, list[StreamGap]] = {}
    for gap in gaps[: MOST_RUNS * MOST_GAPS]:
        kept.setdefault(gap.run_id, []).append(gap)
    return {
        "now": now,
        "lease": _lease(now),
        "runs": [_of_run(run, kept.get(run.pk, []), now) for run in runs],
        "most_gaps": MOST_GAPS,
    }


def _of_run(run: Run, gaps: list[StreamGap], now: datetime) -> dict[str, Any]:
    return {
        "run": run,
        "streams": [(stream, _status(stream, run, now)) for stream in run.streams.all()],
        "gaps": [(gap, _consequence(gap)) for gap in gaps[:MOST_GAPS]],
        "stayed": sum(bool(_consequence(gap)) for gap in gaps),
        "count": len(gaps),
    }


def _status(stream: Stream, run: Run, now: datetime) -> tuple[str, str]:
    """Return the status of a stream and its word; one that says connected and tells nothing is not well."""
    if not run.is_open or stream.state == Stream.State.ENDED:
        return "waiting", "ended"
    if stream.state != Stream.State.CONNECTED:
        return "inconclusive", stream.state
    if stream.last_line_at is None or now - stream.last_line_at > OLD:
        return "failed", "silent"
    return "passed", "connected"


def _consequence(gap: StreamGap) -> str:
    """Which criterion the gap leaves open; none where everything was read again, or the slots of the stops did."""
    return "" if gap.repaired or getattr(gap, "by_slots", False) else f"makes “{STOPS}” inconclusive"


def _lease(now: datetime) -> dict[str, Any]:
    row = StreamLease.objects.filter(name=NAME).first()
    held = row is not None and row.holder != "" and row.lease_until > now
    return {"row": row, "held": held}


def _lease_twin(lease: dict[str, Any]) -> dict[str, Any]:
    row = lease["row"]
    return {
        "held": lease["held"],
        "holder": row.holder if row else None,
        "until": moment(row.lease_until) if row else None,
        "attempt": row.attempt if row else 0,
    }


def _run_twin(each: dict[str, Any]) -> dict[str, Any]:
    names = ("kind", "state", "reason", "last_id", "lines", "unreadable", "repeated", "connections")
    return {
        "run": each["run"].pk,
        "target": each["run"].campaign.target.name,
        "streams": [
            {name: getattr(stream, name) for name in names} | {"last_line_at": moment(stream.last_line_at), "is": word}
            for stream, (_, word) in each["streams"]
        ],
        "gaps": [
            {
                "kind": gap.kind,
                "since": moment(gap.since),
                "until": moment(gap.until),
                "first_id": gap.first_id,
                "last_id": gap.last_id,
                "repaired": gap.repaired,
                "sentence": gap.sentence,
                "inconclusive": None if gap.repaired else STOPS,
            }
            for gap, _ in each["gaps"]
        ],
    }
