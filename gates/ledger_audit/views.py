"""The pages of gate 3: start, follow, look into, compare and download audits."""

from dataclasses import asdict
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from audits.around import Surroundings, rows_around
from audits.judge import sealed_snapshot
from audits.relation_files import SnapshotUnreadable
from gates import commands
from gates.ledger_audit import downloads, pages, twins
from gates.ledger_audit.commands import Asked, CannotAuditError, start_audit
from gates.ledger_audit.comparing import compared
from gates.ledger_audit.filling import snapshot_folder
from gates.ledger_audit.plans import AUDIT_PLANS
from gates.models import Finding, Report, Run
from gates.pages import rows
from gates.plans import UnknownProfileError
from gates.roles import START_RUN
from gates.targets.access import TargetUnreachableError
from gates.targets.queries import standing_targets

AUDITS_A_PAGE = 50


@require_safe
def audits(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    page = Paginator(pages.audits_of(Run.objects.all()), AUDITS_A_PAGE).get_page(request.GET.get("page"))
    if twin:
        found = [twins.audit_twin(run, run.audit) for run in page]
        return JsonResponse({"audits": found, "pages": page.paginator.num_pages})
    context = {
        "page": page,
        "targets": standing_targets(),
        "profiles": [plan.profile for plan in AUDIT_PLANS],
        "may_start": request.user.has_perm(START_RUN),
    }
    return render(request, "gates/audits.html", context)


@require_POST
@permission_required(START_RUN, raise_exception=True)
def start(request: HttpRequest) -> HttpResponse:
    """Start an audit of the target named in the form, and show it; what hinders it is said on the list."""
    target = standing_targets().filter(name=request.POST.get("target", "")).first()
    try:
        if target is None:
            raise CannotAuditError("There is no such target: choose one of the list.")
        asked = Asked(target, request.POST.get("profile", ""))
        run = start_audit(asked, started_by=cast("User", request.user), now=timezone.now())
    except (CannotAuditError, UnknownProfileError, TargetUnreachableError) as error:
        messages.error(request, str(error))
        return redirect("gates:audits")
    return HttpResponseRedirect(run.get_absolute_url())


def audit(request: HttpRequest, run: Run, *, twin: bool = False) -> HttpResponse:
    """The page of one audit, under the address of its run."""
    context = audit_context(run)
    if twin:
        return JsonResponse(
            {
                **twins.audit_twin(run, context["audit"]),
                "criteria": context["criteria"],
                "totals": context["totals"],
                "checks": [twins.line_twin(line) for line in context["lines"]],
                "findings": [twins.group_twin(group) for group in context["groups"]],
            }
        )
    return render(request, "gates/audit.html", context)


def audit_context(run: Run) -> dict[str, Any]:
    """Everything that the audit's page shows, whole or its live part."""
    lines = pages.check_lines(run)
    there, words = pages.snapshot_state(run.audit)
    criteria = [asdict(line) for line in commands.criteria_of(run)] if run.is_open else run.criteria
    return {
        "run": run,
        "audit": run.audit,
        "campaign": run.campaign,
        "status": rows.status_of(run),
        "criteria": _standing(criteria) if run.is_open else criteria,
        "lines": lines,
        "totals": pages.totals(lines),
        "groups": pages.rule_groups(run, lines),
        "snapshot_there": there,
        "snapshot_words": words,
        "alerts": list(rows.open_alerts(run)[:50]),
        "events": list(run.events.order_by("-at", "-pk")[: rows.MOST_EVENTS]),
        "report": Report.objects.filter(run=run).first(),
        "earlier": pages.earlier_audits(run),
        "now": timezone.now(),
    }


def _standing(criteria: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """While checks wait, what is inconclusive for want of them is only running."""
    waits = [line | {"verdict": "running", "reason": ""} for line in criteria]
    return [
        line if line["verdict"] in {"failed", "passed"} else wait for line, wait in zip(criteria, waits, strict=True)
    ]


@require_safe
def compare(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    """Two audits side by side: `before` and `after` are run numbers."""
    before, after = (_audit_or_404(request.GET.get(name, "")) for name in ("before", "after"))
    lines = compared(before, after)
    if twin:
        return JsonResponse(
            {"before": before.pk, "after": after.pk, "checks": [twins.compared_twin(line) for line in lines]}
        )
    moved = {name: sum(len(getattr(line, name)) for line in lines) for name in ("came", "went", "stayed")}
    context = {"before": before, "after": after, "lines": lines, "moved": moved, "same": all(x.same for x in lines)}
    return render(request, "gates/compare_audits.html", context)


def _audit_or_404(text: str) -> Run:
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise Http404("Name two audits by their run numbers.")
    return get_object_or_404(pages.audits_of(Run.objects.all()), pk=int(text))


@require_safe
def snapshot(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The sealed snapshot as a zip; a changed or missing one is said, never sent."""
    run = _audit_or_404(str(pk))
    name = f"wartest-snapshot-run-{run.pk}"
    try:
        sealed = sealed_snapshot(snapshot_folder(run.pk), run.audit.manifest_sha256 or None)
        content = downloads.zipped_snapshot(sealed, name)
    except SnapshotUnreadable as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(run.get_absolute_url())
    answer = StreamingHttpResponse(content, content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    return answer


@require_safe
def around(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    """The rows around a finding of an audit, from its sealed snapshot."""
    finding = get_object_or_404(Finding.objects.filter(run__audit__isnull=False).select_related("run__audit"), pk=pk)
    found: tuple[Surroundings, ...] = ()
    trouble = ""
    try:
        sealed = sealed_snapshot(snapshot_folder(finding.run_id), finding.run.audit.manifest_sha256 or None)
        found = rows_around(sealed, finding.where)
    except SnapshotUnreadable as error:
        trouble = str(error)
    if twin:
        return JsonResponse({"finding": pk, "trouble": trouble, "around": [twins.around_twin(each) for each in found]})
    return render(request, "gates/_around.html", {"finding": finding, "around": found, "trouble": trouble})
