"""What came before a campaign: the one it follows, and what has to be done about that one first."""

from gates.campaigns.commands import CampaignRefusedError
from gates.models import Campaign, Incident, Target


def campaign_before(target: Target, profile: str) -> Campaign | None:
    """Return the last campaign of this target and profile that began at gate 1 and stopped."""
    stopped = Campaign.objects.filter(target=target, profile=profile, state=Campaign.State.STOPPED, runs__gate=1)
    return stopped.order_by("-started_at", "-pk").first()


def demand_done(target: Target, profile: str, before: Campaign | None, repeat_reason: str) -> None:
    """Refuse a production campaign while a failure is not approved, and one that repeats without a reason.

    A rehearsal and a smoke test may start at any time: they open nothing, and every page shows what came before them.
    Raises CampaignRefusedError.
    """
    if profile != "production":
        return
    failed = Campaign.objects.filter(target=target, profile=profile, verdict="failed", runs__gate=1).distinct()
    done = Incident.objects.filter(state__in=(Incident.State.APPROVED, Incident.State.RESTARTED))
    open_one = failed.exclude(incident__in=done).order_by("pk").first()
    if open_one is not None:
        raise CampaignRefusedError(
            f"Campaign {open_one.pk} of {target} failed: take its incident to its approval before a new one begins."
        )
    if before is not None and before.verdict == "inconclusive" and not repeat_reason.strip():
        raise CampaignRefusedError(
            f"Campaign {before.pk} of {target} was inconclusive: say why it is repeated (--because in a terminal)."
        )
