"""Which campaigns wait for their report on gates 1 to 3."""

from django.db.models import Exists, OuterRef, Q

from gates.models import Campaign, Report, Run

AT_ONCE = 5
KIND = "phase-7"


def unreported() -> list[int]:
    """Return campaigns that came to an end of gates 1 to 3 and have no report of it, oldest first, a few at a time.

    One that is ready is reported in any case, since people sign it; one that stopped when it was started as a whole.
    A production campaign that was stopped after its report said passed has another: the chain must not end with a pass.
    """
    going = Run.objects.filter(campaign=OuterRef("pk"), state=Run.State.RUNNING)
    reported = Report.objects.filter(campaign=OuterRef("pk"), run=None, kind__startswith=KIND)
    over = Q(state=Campaign.State.READY) | Q(state=Campaign.State.STOPPED, whole=True)
    passed_once = Q(Exists(reported), ~Exists(reported.filter(verdict__in=("failed", "inconclusive"))))
    stopped_since = Q(passed_once, state=Campaign.State.STOPPED, profile="production")
    waiting = Campaign.objects.filter(~Exists(going), Q(over, ~Exists(reported)) | stopped_since)
    return list(waiting.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])


def report_of(campaign_id: int) -> Report | None:
    """Return the report on gates 1 to 3, once it is written."""
    return Report.objects.filter(campaign=campaign_id, run=None, kind__startswith=KIND).order_by("-pk").first()
