"""The pages of the evidence: the chain, what a look found, and a campaign's evidence as one zip."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from gates.evidence import pages, pdf
from gates.evidence.cover import folder_name
from gates.evidence.keys import SigningKeyError
from gates.evidence.looking import LIMIT_S, LookGoingOnError, look
from gates.evidence.tree import campaign_tree
from gates.evidence.zipping import zipped
from gates.models import Campaign, Report

LINKS_A_PAGE = 100


@require_safe
def evidence(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    """The whole chain, newest first, the key, and what the last look at everything found."""
    page = Paginator(pages.chain_rows(), LINKS_A_PAGE).get_page(request.GET.get("page"))
    newest, key = pages.newest_look(None), pages.key_state()
    if twin:
        links = [pages.link_twin(report) for report in page]
        seen = {"key": key.fingerprint or None, "trouble": key.trouble, "look": pages.look_twin(newest)}
        return JsonResponse({**seen, "links": links, "pages": page.paginator.num_pages})
    context = {"page": page, "look": newest, "key": key, "limit_s": LIMIT_S}
    return render(request, "gates/evidence.html", context)


@require_safe
def campaign_evidence(request: HttpRequest, pk: int, *, twin: bool = False) -> HttpResponse:
    """A campaign's reports, the files that they rest on, and what the last look at them found."""
    campaign = get_object_or_404(Campaign.objects.select_related("target"), pk=pk)
    reports = list(pages.chain_rows().filter(campaign=campaign))
    kept = [(report, pages.kept_files(report)) for report in reports]
    newest, key = pages.newest_look(campaign), pages.key_state()
    if twin:
        links = [
            pages.link_twin(report)
            | {"kept": [{"file": one.name, "bytes": one.bytes, "there": one.there} for one in files]}
            for report, files in kept
        ]
        return JsonResponse({"campaign": pk, "key": key.fingerprint, "look": pages.look_twin(newest), "reports": links})
    context = {"campaign": campaign, "kept": kept, "look": newest, "key": key, "limit_s": LIMIT_S}
    return render(request, "gates/campaign_evidence.html", context)


@require_POST
def verify_now(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Look at everything, or at a campaign. Who is signed in may ask: it changes nothing but that it was looked."""
    campaign = get_object_or_404(Campaign.objects.select_related("target"), pk=pk) if pk else None
    try:
        look(campaign, by=cast("User", request.user), now=timezone.now())
    except (LookGoingOnError, SigningKeyError) as error:
        messages.error(request, str(error))
    return redirect("gates:campaign_evidence", pk) if pk else redirect("gates:evidence")


@require_safe
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The evidence of a campaign as one zip; without the signing key there is none, and the page says why."""
    campaign = get_object_or_404(Campaign.objects.select_related("target"), pk=pk)
    now = timezone.now()
    try:
        tree = campaign_tree(campaign, now)
    except SigningKeyError as error:
        messages.error(request, str(error))
        return redirect("gates:campaign_evidence", pk)
    name = folder_name(campaign)
    answer = StreamingHttpResponse(zipped(tree.streamed(), name, now), content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    return answer


@require_safe
def report_pdf(request: HttpRequest, pk: int) -> HttpResponse:
    """A report as PDF; where that cannot be made, the report's page says what to install."""
    report = get_object_or_404(Report.objects.select_related("run__campaign__target", "campaign__target"), pk=pk)
    try:
        content = pdf.report_pdf(report)
    except pdf.NoPdfError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(report.get_absolute_url())
    answer = HttpResponse(content, content_type="application/pdf")
    answer["Content-Disposition"] = f'inline; filename="{report.file_name.removesuffix(".json")}.pdf"'
    return answer
