"""The pages. Login is asked for by middleware; only `/healthz` answers without."""

import platform
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from gates import commands, pulses
from gates.campaigns.reviews import open_review, review_states
from gates.chaos.pages import views as chaos
from gates.ledger_audit import views as audits
from gates.ledger_audit.pages import changes_of, earlier_selves
from gates.ledger_audit.twins import triage_twin
from gates.live_capital import views as live_capital
from gates.live_capital.figures import LIVE_CURVES
from gates.live_capital.figures import ready as live_ready
from gates.models import Beat, Campaign, Finding, Report, Run, Slot
from gates.pages import rows, twins
from gates.pages.curves import figures
from gates.pages.figures import RUN_CURVES, ready
from gates.pages.grid import slot_grid
from gates.pages.start import start_offer

SLOTS_A_PAGE = 200
RUNS_A_PAGE = 50


@require_safe
def dashboard(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    context = _dashboard(timezone.now())
    if twin:
        counts = context["counts"]
        return JsonResponse(
            {
                "run": context["run"] and twins.run_twin(context["run"]),
                "slots": counts and twins.counts_twin(counts),
                "gates": [twins.step_twin(step) for step in context["rail"]],
                "alerts": [twins.alert_twin(alert) for alert in context["alerts"]],
                "runs": [twins.run_twin(run) for run in context["runs"]],
                "last_tick_at": twins.moment(rows.last_tick_at()),
            }
        )
    return render(request, "gates/dashboard.html", context | start_offer(request.user))


@require_safe
def dashboard_live(request: HttpRequest) -> HttpResponse:
    """Answer 204 while nothing moved, else the live part of the dashboard."""
    if request.GET.get("since") == rows.dashboard_cursor():
        return _with_tick(HttpResponse(status=204))
    context = _dashboard(timezone.now()) | start_offer(request.user)
    return _with_tick(render(request, "gates/dashboard.html#live", context))


@require_safe
def runs(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    found = Run.objects.select_related("campaign__target").order_by("-planned_start", "-pk")
    page = Paginator(found, RUNS_A_PAGE).get_page(request.GET.get("page"))
    if twin:
        return JsonResponse({"runs": [twins.run_twin(run) for run in page], "pages": page.paginator.num_pages})
    return render(request, "gates/runs.html", {"page": page, **start_offer(request.user)})


@require_safe
def run(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    row = _run_or_404(pk)
    if row.gate == 2:
        return chaos.run(request, row, twin=twin)
    if row.gate == 3:
        return audits.audit(request, row, twin=twin)
    if row.gate == 4:
        return live_capital.live_run(request, row, twin=twin)
    context = _run(row, timezone.now())
    if twin:
        return JsonResponse(
            {
                **twins.run_twin(context["run"]),
                "criteria": context["criteria"],
                "slots": twins.counts_twin(context["counts"]),
                "findings": [twins.group_twin(group) for group in context["finding_groups"]],
                "alerts": [twins.alert_twin(alert) for alert in context["alerts"]],
                "events": [twins.event_twin(event) for event in context["events"]],
            }
        )
    return render(request, "gates/run.html", context)


@require_safe
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer 204 while the run's cursor is unchanged, else its live part; the last one asks no more."""
    row = _run_or_404(pk)
    if request.GET.get("since") == str(row.cursor):
        return _with_tick(HttpResponse(status=204))
    if row.gate == 2:
        return _with_tick(render(request, "gates/chaos_run.html#live", chaos.run_context(row)))
    if row.gate == 3:
        return _with_tick(render(request, "gates/audit.html#live", audits.audit_context(row)))
    if row.gate == 4:
        return _with_tick(live_capital.live_part(request, row))
    return _with_tick(render(request, "gates/run.html#live", _run(row, timezone.now())))


@require_safe
def curves(request: HttpRequest, pk: int) -> HttpResponse:
    row = _run_or_404(pk)
    span = (row.planned_start, row.planned_end)
    bands = rows.away_bands(row, timezone.now())
    if row.gate == 4:
        return JsonResponse(figures(LIVE_CURVES, live_ready(rows.samples(row)), span=span, bands=bands))
    return JsonResponse(figures(RUN_CURVES, ready(rows.samples(row)), span=span, bands=bands))


@require_safe
def slots(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    """List the slots of a run, of one check, status or stretch of time if asked for."""
    row = _run_or_404(pk)
    found = row.slots.select_related("result").order_by("window_start", "check_name")
    if check := request.GET.get("check"):
        found = found.filter(check_name=check)
    if (state := request.GET.get("status")) in rows.STATUS_WHERE:
        found = found.filter(rows.STATUS_WHERE[state])
    if start := _moment(request, "from"):
        found = found.filter(window_start__gte=start)
    if end := _moment(request, "to"):
        found = found.filter(window_start__lt=end)
    page = Paginator(found, SLOTS_A_PAGE).get_page(request.GET.get("page"))
    if twin:
        return JsonResponse({"slots": [twins.slot_twin(slot) for slot in page], "pages": page.paginator.num_pages})
    query = request.GET.copy()
    query.pop("page", None)
    checks = row.slots.order_by("check_name").values_list("check_name", flat=True).distinct()
    context = {"run": row, "page": page, "query": query.urlencode(), "checks": checks, "asked": request.GET}
    return render(request, "gates/slots.html", context)


@require_safe
def slot(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    found = Slot.objects.select_related("run__campaign__target", "result")
    row = get_object_or_404(found, pk=pk)
    findings = list(row.findings.order_by("pk")[: rows.MOST_FINDINGS])
    if twin:
        return JsonResponse(twins.slot_twin(row, findings))
    same = row.run.slots.filter(check_name=row.check_name)
    context = {
        "slot": row,
        "run": row.run,
        "result": getattr(row, "result", None),
        "status": rows.status_of(row),
        "findings": findings,
        "audited": row.run.gate == 3,
        "before": same.filter(due_at__lt=row.due_at).order_by("-due_at").first(),
        "after": same.filter(due_at__gt=row.due_at).order_by("due_at").first(),
    }
    return render(request, "gates/slot.html", context)


@require_safe
def finding(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    row = get_object_or_404(Finding.objects.select_related("run__campaign__target", "slot", "owner"), pk=pk)
    earlier = earlier_selves(row)
    if twin:
        return JsonResponse(twins.finding_twin(row) | {"triage": triage_twin(row, earlier)})
    same = row.run.findings.filter(rule=row.rule)
    context = {
        "finding": row,
        "run": row.run,
        "count": same.count(),
        "earlier": earlier,
        "changes": changes_of(row),
        "audited": row.run.gate == 3,
        "before": same.filter(pk__lt=row.pk).order_by("-pk").first(),
        "after": same.filter(pk__gt=row.pk).order_by("pk").first(),
    }
    return render(request, "gates/finding.html", context)


@require_safe
def report(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    return _report(request, get_object_or_404(Report.objects.select_related("run__campaign__target"), run_id=pk), twin)


@require_safe
def sealed(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    """A link of the chain by its own number: also of a campaign, which has no run."""
    return _report(request, get_object_or_404(Report.objects.select_related("run__campaign__target"), pk=pk), twin)


def _report(request: HttpRequest, row: Report, twin: bool) -> HttpResponse:
    if twin:
        return JsonResponse(row.content)
    return render(request, "gates/report.html", {"report": row, "run": row.run, "content": row.content})


@require_safe
def about(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    context = {
        "versions": _versions(),
        "settings": {name: str(value) for name, value in settings.ENVIRONMENT.model_dump().items()},
        "beats": {beat.kind: beat.last_at for beat in Beat.objects.order_by("kind")},
    }
    if twin:
        return JsonResponse(context)
    return render(request, "gates/about.html", {**context, "now": timezone.now()})


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 while every part of the portal shows a pulse, else 503 and which one has stopped; no secret."""
    ages = pulses.look(timezone.now())
    stopped = {each.part.kind: each.sentence for each in pulses.judge(ages, pulses.limit_s())}
    rounded = {kind: None if age_s is None else round(age_s, 1) for kind, age_s in ages.items()}
    answer = {
        "status": "failing" if stopped else "ok",
        "last_tick_age_s": rounded["tick"],
        "ages_s": rounded,
        "stopped": stopped,
    }
    return JsonResponse(answer, status=503 if stopped else 200)


def _dashboard(now: datetime) -> dict[str, Any]:
    recent = list(Run.objects.select_related("campaign__target").order_by("-planned_start", "-pk")[:10])
    counted = rows.counted_runs().select_related("campaign__target").order_by("-planned_start", "-pk")
    leading = counted.first() or (recent[0] if recent else None)
    row = counted.filter(state=Run.State.RUNNING).first() or leading
    campaign = leading.campaign if leading else Campaign.objects.order_by("-started_at").first()
    return {
        "now": now,
        "cursor": rows.dashboard_cursor(),
        "run": row,
        "campaign": campaign,
        "status": rows.status_of(row) if row else "waiting",
        "counts": rows.slot_counts(row, now) if row else None,
        "elapsed": _elapsed(row, now) if row else None,
        "rail": rows.gate_rail(campaign),
        "alerts": list(rows.open_alerts()[:50]),
        "runs": recent,
    }


def _run(row: Run, now: datetime) -> dict[str, Any]:
    groups = rows.slot_groups(row, now)
    findings = row.findings.all()
    counts = rows.SlotCounts.of(groups)
    return {
        "now": now,
        "run": row,
        "campaign": row.campaign,
        "status": rows.status_of(row),
        "counts": counts,
        "elapsed": _elapsed(row, now),
        "planned": row.planned_end - row.planned_start,
        "criteria": rows.standing(_criteria_now(row), counts) if row.is_open else row.criteria,
        "grid": slot_grid(groups, start=row.planned_start, end=row.planned_end),
        "finding_groups": rows.finding_groups(findings),
        "finding_count": findings.count(),
        "most_findings": rows.MOST_FINDINGS,
        "alerts": list(rows.open_alerts(row)[:50]),
        "events": list(row.events.order_by("-at", "-pk")[: rows.MOST_EVENTS]),
        "report": Report.objects.filter(run=row).first(),
        "curves": RUN_CURVES,
        "reviews": review_states(row, now),
        "open_review": open_review(row, now),
    }


def _criteria_now(row: Run) -> list[dict[str, Any]]:
    """Judge an open run as its closing would, so that page and verdict never differ."""
    return [asdict(line) for line in commands.criteria_of(row)]


def _elapsed(row: Run, now: datetime) -> Any:
    return max(min(row.closed_at or now, row.planned_end) - row.planned_start, now - now)


def _run_or_404(pk: int) -> Run:
    return get_object_or_404(Run.objects.select_related("campaign__target"), pk=pk)


def _moment(request: HttpRequest, name: str) -> datetime | None:
    """Return an aware time from the query; what is no time, or has no zone, narrows nothing."""
    try:
        at = parse_datetime(request.GET.get(name, ""))
    except ValueError:
        return None
    return at if at and timezone.is_aware(at) else None


def _with_tick(response: HttpResponse) -> HttpResponse:
    """Tell a polling page when the last tick was, even when nothing else moved."""
    if at := rows.last_tick_at():
        response["Last-Tick"] = at.isoformat()
    return response


def _versions() -> dict[str, str]:
    packages = ("django", "celery", "psycopg", "duckdb", "django-htmx", "django-allauth")
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (postgres,) = cursor.fetchone()
    known = {name: version(name) for name in packages}
    return {"Python": platform.python_version(), "PostgreSQL": postgres, **known}
