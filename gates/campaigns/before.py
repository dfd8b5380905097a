"""What came before a campaign: the one it follows, and what has to be done about that one first."""

from dataclasses import dataclass

from django.db.models import F, Q, QuerySet

from gates.campaigns.commands import CampaignRefusedError
from gates.models import Campaign, Incident, Target


@dataclass(frozen=True, slots=True)
class Beginning:
    """A campaign that is about to begin: of which target and profile, on which build, why it repeats the one before.

    `account` is the fingerprint of the broker's account (`account_sha256`); empty, only the target's name is looked at.
    """

    target: Target
    profile: str
    build: str
    account: str = ""
    repeat_reason: str = ""


def campaign_before(target: Target, profile: str) -> Campaign | None:
    """Return the last campaign of this target and profile that began at gate 1 and stopped."""
    stopped = Campaign.objects.filter(target=target, profile=profile, state=Campaign.State.STOPPED, runs__gate=1)
    return stopped.order_by("-started_at", "-pk").first()


def demand_done(beginning: Beginning, before: Campaign | None) -> None:
    """Refuse a production campaign while a failure is not approved, one of a build that failed, and one that repeats
    without a reason.

    A failure is the system's: another name for the same account of the broker does not leave it behind. A rehearsal
    and a smoke test may start at any time: they open nothing, and every page shows what came before them.
    Raises CampaignRefusedError.
    """
    if beginning.profile != "production":
        return
    failed = _failed(beginning)
    done = Incident.objects.filter(state__in=(Incident.State.APPROVED, Incident.State.RESTARTED))
    open_one = failed.exclude(incident__in=done).first()
    if open_one is not None:
        raise CampaignRefusedError(
            f"{_named(open_one, beginning)} failed: take its incident to its approval before a new one begins."
        )
    same = failed.filter(build=beginning.build).exclude(incident__fixed_build=F("build")).first()
    if same is not None:
        raise CampaignRefusedError(
            f"{_named(same, beginning)} failed with this build, {same.build}: "
            f"start the one that mends it, {same.incident.fixed_build}, or a later one."
        )
    if before is not None and before.verdict == "inconclusive" and not beginning.repeat_reason.strip():
        raise CampaignRefusedError(
            f"{_named(before, beginning)} was inconclusive: say why it is repeated (--because in a terminal)."
        )


def _failed(beginning: Beginning) -> QuerySet[Campaign]:
    """The failed campaigns of this system: by the target, or by the account that their gate 1 was on."""
    same = Q(target=beginning.target)
    if beginning.account:
        same |= Q(runs__baseline__account=beginning.account)
    failed = Campaign.objects.filter(same, profile=beginning.profile, verdict="failed", runs__gate=1)
    return failed.select_related("target", "incident").order_by("pk").distinct()


def _named(campaign: Campaign, beginning: Beginning) -> str:
    elsewhere = campaign.target_id != beginning.target.pk
    return f"Campaign {campaign.pk} of {campaign.target}{', on the same account of the broker,' if elsewhere else ''}"
