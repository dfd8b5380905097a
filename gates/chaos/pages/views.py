"""The pages of gate 2: the runs, one run, a scenario as a sequence chart, and a crash point. All of them only read."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from gates.chaos.pages import differences, rows, twins
from gates.chaos.pages.start import start_offer
from gates.chaos.reporting import repeat_command
from gates.chaos.standing import chaos_criteria_of, delays_of, durable_states, not_compared, positions_of, why_partial
from gates.models import ChaosRun, CrashPoint, Report, Run, ScenarioRun
from gates.pages import rows as run_rows
from gates.pages import twins as run_twins
from gates.roles import START_RUN

RUNS_A_PAGE = 50


@require_safe
def chaos(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    found = Run.objects.filter(gate=2, chaos__isnull=False).select_related("campaign__target", "chaos__started_by")
    page = Paginator(found.order_by("-planned_start", "-pk"), RUNS_A_PAGE).get_page(request.GET.get("page"))
    if twin:
        told = [twins.chaos_twin(run, run.chaos) for run in page]
        return JsonResponse({"runs": told, "pages": page.paginator.num_pages})
    return render(request, "gates/chaos.html", {"page": page, **start_offer(request.user)})


def run(request: HttpRequest, row: Run, *, twin: bool = False) -> HttpResponse:
    """The page of one run of gate 2, under the address of its run."""
    context = run_context(row)
    if twin:
        return JsonResponse(
            {
                **twins.chaos_twin(row, context["chaos"]),
                "partial": context["partial"],
                "criteria": context["criteria"],
                "totals": context["totals"],
                "scenarios": [twins.line_twin(line) for line in context["lines"]],
                "findings": [run_twins.group_twin(group) for group in context["finding_groups"]],
                "alerts": [run_twins.alert_twin(alert) for alert in context["alerts"]],
                "events": [run_twins.event_twin(event) for event in context["events"]],
            }
        )
    return render(request, "gates/chaos_run.html", context)


def run_context(row: Run) -> dict[str, Any]:
    """Everything that the run's page shows, whole or its live part."""
    chaos_row = ChaosRun.objects.select_related("run__campaign", "started_by").get(run=row)
    lines = rows.lines_of(row.scenarios.select_related("slot").order_by("number"))
    now = timezone.now()
    return {
        "run": row,
        "chaos": chaos_row,
        "campaign": row.campaign,
        "status": run_rows.status_of(row),
        "criteria": _standing(row) if row.is_open else row.criteria,
        "lines": lines,
        "totals": rows.totals_of(row, lines),
        "partial": why_partial(chaos_row),
        "left": max(row.planned_end - now, timedelta()),
        "elapsed": (row.closed_at or now) - row.planned_start,
        "finding_groups": run_rows.finding_groups(row.findings.all()),
        "alerts": list(run_rows.open_alerts(row)[:50]),
        "events": list(row.events.order_by("-at", "-pk")[: run_rows.MOST_EVENTS]),
        "report": Report.objects.filter(run=row).first(),
        "now": now,
    }


def _standing(row: Run) -> list[dict[str, Any]]:
    """While strikes wait, what is inconclusive for want of them is only running."""
    waits = {"verdict": "running", "reason": ""}
    judged = [asdict(line) for line in chaos_criteria_of(row)]
    return [line | waits if line["verdict"] == "inconclusive" else line for line in judged]


@require_safe
def scenario(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    context = _scenario(request, _scenario_or_404(pk))
    if twin:
        return JsonResponse(
            {
                **twins.line_twin(context["line"]),
                "durable_states": context["states"],
                "positions_held": context["positions"],
                "not_compared": context["not_compared"],
                "delays": context["delays"],
                "operations": [twins.chart_twin(chart) for chart in context["charts"]],
                "background": context["background"],
                "second_strikes": [
                    {"first": first.pk, "messages": twins.chart_twin(chart)["messages"]}
                    for first, chart in context["seconds"]
                ],
                "earlier": [twins.earlier_twin(line, compared) for line, compared in context["earlier"]],
            }
        )
    return render(request, "gates/scenario.html", context)


@require_safe
def scenario_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer 204 while the run's cursor is unchanged, else the live part; the last one asks no more."""
    row = _scenario_or_404(pk)
    if request.GET.get("since") == str(row.run.cursor):
        return HttpResponse(status=204)
    return render(request, "gates/scenario.html#live", _scenario(request, row))


def _scenario(request: HttpRequest, row: ScenarioRun) -> dict[str, Any]:
    chaos_row = ChaosRun.objects.select_related("run__campaign").get(run=row.run_id)
    (line,) = rows.lines_of([row])
    around = list(row.run.scenarios.order_by("number"))
    place = next(place for place, each in enumerate(around) if each.pk == row.pk)
    return {
        "scenario": row,
        "line": line,
        "run": row.run,
        "chaos": chaos_row,
        "campaign": row.run.campaign,
        "status": line.status,
        "partial": why_partial(chaos_row),
        "expects": rows.expects_of(row),
        "positions": positions_of(row.baselines.all()),
        "not_compared": not_compared(row.baselines.all()),
        "charts": rows.charts_of(row),
        "as_table": request.GET.get("as") == "table",
        "background": {each.operation: each.background for each in row.baselines.order_by("pk") if each.background},
        "states": durable_states(row),
        "steps": rows.steps_of(row.phase_at),
        "delays": delays_of(row),
        "seconds": rows.seconds_of(row),
        "earlier": rows.earlier_lines(row),
        "before": around[place - 1] if place else None,
        "after": around[place + 1] if place + 1 < len(around) else None,
        "left": max(row.run.planned_end - timezone.now(), timedelta()),
    }


@require_safe
def crash_point(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    found = CrashPoint.objects.select_related("scenario__run__campaign__target", "first", "same_as")
    row = get_object_or_404(found, pk=pk)
    if twin:
        return JsonResponse(twins.point_twin(row, rows.struck_here(row)))
    same = row.scenario.crash_points.defer(*rows.LIST_FIELDS)
    status = rows.point_status(row)
    context = {
        "point": row,
        "scenario": row.scenario,
        "run": row.scenario.run,
        "title": rows.title_of(row.scenario.name),
        "status": status,
        "followed": row.recovery_ms is not None,
        "passages": differences.passages_of(row.messages),
        "changed": differences.changed_rows(row.changes),
        "changed_again": differences.changed_again(row.changes),
        "steps": rows.steps_of(row.phase_at),
        "struck_here": [(each, rows.point_status(each)) for each in rows.struck_here(row)],
        "heals": list(row.heals.select_related("undone_by")),
        "now": timezone.now(),
        "recovery": rows.recovery_chart(row.seconds.defer(*rows.LIST_FIELDS)),
        "repeat": repeat_command(row),
        "may_start": request.user.has_perm(START_RUN),
        "before": same.filter(number__lt=row.number).order_by("-number").first(),
        "after": same.filter(number__gt=row.number).order_by("number").first(),
    }
    return render(request, "gates/crash_point.html", context)


def _scenario_or_404(pk: int) -> ScenarioRun:
    return get_object_or_404(ScenarioRun.objects.select_related("slot", "run__campaign__target"), pk=pk)
