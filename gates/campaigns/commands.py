"""What causes a campaign to move on, each move once and refused with one sentence where it is not its turn.

The moves themselves are the database's (`Campaign.Meta.triggers`); here is who may cause them, and when.
"""

from datetime import datetime

from django.db import transaction

from audits.verdicts import Verdict, merge
from gates.models import Campaign, Run, RunEvent, Slot, Target

State = Campaign.State
OPEN = (State.RUNNING, State.READY, State.APPROVED, State.LIVE)
WATCHED_GATES = (1, 4)  # whose slots wait for their time; those of gates 2 and 3 are filled by processes of their own


class CampaignRefusedError(Exception):
    """A campaign cannot make this move; the message says why and what to do."""


@transaction.atomic
def approve(campaign_id: int, now: datetime) -> Campaign:
    """Move a ready campaign on once its last signature is there. Raises CampaignRefusedError."""
    campaign = _locked(campaign_id)
    if not campaign.signable:
        raise CampaignRefusedError(f"A {campaign.trial} cannot be signed: run the production profile.")
    return _move(campaign, (State.READY,), State.APPROVED)


@transaction.atomic
def go_live(campaign_id: int, now: datetime) -> Campaign:
    """Let gate 4 open: of an approved campaign, and of a rehearsal that is ready. Raises CampaignRefusedError."""
    campaign = _locked(campaign_id)
    return _move(campaign, (State.APPROVED,) if campaign.signable else (State.READY,), State.LIVE)


@transaction.atomic
def end(campaign_id: int, verdict: Verdict, now: datetime) -> Campaign:
    """End a live campaign by the verdict of its gate 4. Raises CampaignRefusedError."""
    campaign = _locked(campaign_id)
    if verdict != Verdict.PASSED:
        return stop(campaign_id, f"Gate 4 {verdict}.", verdict=verdict, now=now)
    passed = campaign.runs.filter(gate=4, state=Run.State.CLOSED, verdict=Verdict.PASSED).exists()
    if not passed:
        raise CampaignRefusedError(f"No gate 4 of {campaign} has passed: it goes on until one has.")
    campaign.verdict, campaign.ended_at = verdict, now
    return _move(campaign, (State.LIVE,), State.ENDED)


@transaction.atomic
def stop(campaign_id: int, reason: str, *, verdict: Verdict, now: datetime) -> Campaign:
    """Stop a campaign that goes on; of one that has stopped already only the verdict can get worse.

    What is due in its open run is not judged any more: those slots are holes, so the run closes at the next tick.
    Raises CampaignRefusedError for one that has ended.
    """
    campaign = _locked(campaign_id)
    if campaign.state == State.STOPPED:
        campaign.verdict = merge([Verdict(campaign.verdict or Verdict.INCONCLUSIVE), verdict])
        campaign.save(update_fields=["verdict"])
        return campaign
    if campaign.state == State.ENDED:
        raise CampaignRefusedError(f"{campaign} has ended: there is nothing to stop.".capitalize())
    campaign.state, campaign.stopped_reason, campaign.ended_at = State.STOPPED, reason, now
    campaign.verdict = verdict
    campaign.save(update_fields=["state", "stopped_reason", "ended_at", "verdict"])
    _release_slots(campaign, reason, now)
    return campaign


def supersede(target: Target, profile: str, now: datetime) -> None:
    """Stop the campaigns of this target and profile that a new one takes the place of; call it under the target's lock.

    Raises CampaignRefusedError where people have decided about one already.
    """
    for campaign in Campaign.objects.filter(target=target, profile=profile, state__in=OPEN):
        if campaign.state in (State.APPROVED, State.LIVE):
            raise CampaignRefusedError(
                f"Campaign {campaign.pk} of {target} is {campaign.state}: end it before a new one begins."
            )
        stop(campaign.pk, "A new campaign of this target began.", verdict=Verdict.INCONCLUSIVE, now=now)


def _locked(campaign_id: int) -> Campaign:
    return Campaign.objects.select_for_update(of=("self",)).select_related("target").get(pk=campaign_id)


def _move(campaign: Campaign, allowed: tuple[str, ...], to: str) -> Campaign:
    if campaign.state not in allowed:
        raise CampaignRefusedError(
            f"{campaign} is {campaign.state} and cannot become {to}: it would have to be {' or '.join(allowed)}."
        )
    campaign.state = to
    campaign.save(update_fields=["state", "verdict", "ended_at"])
    return campaign


def _release_slots(campaign: Campaign, reason: str, now: datetime) -> None:
    for run in campaign.runs.filter(gate__in=WATCHED_GATES, state=Run.State.RUNNING):
        left = Slot.objects.filter(run_id=run.pk, state=Slot.State.DUE).update(
            state=Slot.State.HOLE, verdict=Verdict.INCONCLUSIVE
        )
        if left:
            sentence = f"{left} slots are not judged any more, the campaign was stopped: {reason}"
            RunEvent.objects.create(run=run, at=now, kind=RunEvent.Kind.HOLE, level="high", sentence=sentence)
