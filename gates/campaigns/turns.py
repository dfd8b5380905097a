"""Whose turn it is: gates open in order, within one campaign, for one build as one description says it."""

from audits.verdicts import Verdict
from gates.campaigns.searching import description_sha256
from gates.models import Campaign, Target


def whose_turn(target: Target, profile: str, *, gate: int, build: str) -> tuple[Campaign | None, str]:
    """Return the campaign whose gate 2 or 3 may open now, or None and why there is none.

    Call it under the target's lock, with the target as it is then.
    """
    going = Campaign.objects.filter(target=target, profile=profile, state=Campaign.State.RUNNING, runs__gate=1)
    campaign = going.first()
    if campaign is None:
        return None, f"No campaign of {target} in the profile {profile} is open."
    verdicts = dict(campaign.runs.values_list("gate", "verdict"))
    for before in range(1, gate):
        if verdicts.get(before) != Verdict.PASSED:
            return None, f"Gate {before} of {campaign} has not passed: gates open in order."
    if gate in verdicts:
        return None, f"Gate {gate} of {campaign} has run already."
    if build != campaign.build:
        words = f"is {build}" if build else "could not be seen"
        return None, f"{campaign} is for the build {campaign.build}, and the target's build {words}."
    first = campaign.runs.get(gate=1).baseline.get("description")
    if first and first != description_sha256(target.spec):
        words = f"The description of {target} is not the one that gate 1 of {campaign} was judged by"
        return None, f"{words}: put it back, or start a new campaign."
    return campaign, ""
