"""The pages of targets: all of them, and one with its description, its last preflight and its campaigns."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gates.campaigns import pages
from gates.campaigns.twins import campaign_twin
from gates.models import Preflight, Target
from gates.pages.start import start_offer
from gates.report_fields import utc
from gates.targets import showing
from gates.targets.queries import listed_targets

MOST_CAMPAIGNS = 20
MOST_PREFLIGHTS = 10
MOST_TARGETS = 1000


@require_safe
def targets(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    rows = list(listed_targets()[:MOST_TARGETS])
    if twin:
        return JsonResponse({"targets": [_twin(row) for row in rows]})
    lines = [{"row": row, "status": _status(row), "words": _words(row)} for row in rows]
    return render(request, "gates/targets.html", {"lines": lines})


@require_safe
def target(request: HttpRequest, name: str, *, twin: bool = False) -> HttpResponse:
    row = listed_targets().filter(name=name).first()
    if row is None:
        raise Http404("There is no such target.")
    preflights = list(row.preflights.all()[:MOST_PREFLIGHTS])
    campaigns = list(pages.listed().filter(target=row)[:MOST_CAMPAIGNS])
    if twin:
        shape = {"preflights": list(map(_preflight_twin, preflights)), "campaigns": list(map(campaign_twin, campaigns))}
        return JsonResponse(_twin(row) | shape)
    context = {
        "row": row,
        "status": _status(row),
        "words": _words(row),
        "description": showing.flat(showing.shown(row.spec)),
        "preflight": preflights[0] if preflights else None,
        "earlier": preflights[1:],
        "campaigns": [(each, pages.status_of(each), pages.says(each)) for each in campaigns],
        **(start_offer(request.user) if row.removed_at is None else {"targets": []}),
    }
    return render(request, "gates/target.html", context)


def _status(row: Target) -> str:
    if row.removed_at is not None:
        return "waiting"
    return {True: "passed", False: "failed"}.get(row.ready, "waiting")  # type: ignore[attr-defined]


def _words(row: Target) -> dict[str, str]:
    """What is said of a target on both pages; each without its first word, which stands before it there."""
    said = (showing.ledger_words(row.spec), showing.broker_words(row.spec), showing.process_words(row.spec))
    return dict(words.split(": ", 1) for words in said)


def _twin(row: Target) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": showing.shown(row.spec),
        "added_at": utc(row.created_at),
        "removed_at": utc(row.removed_at),
        "ready": row.ready,  # type: ignore[attr-defined]
        "last_preflight": utc(row.last_preflight),  # type: ignore[attr-defined]
        "campaigns_count": row.n_campaigns,  # type: ignore[attr-defined]
    }


def _preflight_twin(preflight: Preflight) -> dict[str, Any]:
    fields = ("took_s", "met", "lines", "identity", "differences")
    return {"at": utc(preflight.at)} | {name: getattr(preflight, name) for name in fields}
