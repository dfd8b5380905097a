"""The portal's help: pages of words, which show nothing of anybody's rows."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

# In the order of the index: address, title, what it answers.
PAGES = (
    ("first-afternoon", "The first afternoon", "From an empty portal to a first finding about a system of your own"),
    ("team", "Running it for a team", "Several machines, a managed PostgreSQL, backups, upgrades, how long to keep"),
)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All pages of help."""
    return render(request, "gates/help/index.html", {"pages": PAGES})


@require_safe
def first_afternoon(request: HttpRequest) -> HttpResponse:
    """A system of somebody's own, mapped, described and judged, with a clock."""
    return render(request, "gates/help/first_afternoon.html")


@require_safe
def team(request: HttpRequest) -> HttpResponse:
    """Running the portal on several machines, for years."""
    return render(request, "gates/help/team.html")
