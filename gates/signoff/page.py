"""The sign-off page: the decision asked for, what it rests on, what stands against it, and who decided."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse

from gates.evidence.standing import evidence_sha256
from gates.models import Campaign, SignOff
from gates.pages.rows import open_alerts
from gates.roles import REVIEW_CODE
from gates.signoff import shown
from gates.signoff.commands import phrase_for
from gates.signoff.ladder import GOOD_FOR, LADDER, next_rung
from gates.signoff.obstacles import obstacles, person_obstacles, reviews, roles_of, stage_of, touches, unsignable
from gates.signoff.proving import Proof, address_to_give
from gates.signoff.standing import RoleStanding, Signature, missing, role_standings

State = Campaign.State


@dataclass(frozen=True, slots=True)
class Decision:
    """What is asked, how it stands in one word and one sentence."""

    question: str
    status: str
    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Desk:
    """What one person can do here: why they cannot approve or refuse, and what they still have to give."""

    roles: list[str]
    phrase: str
    lacking: list[tuple[str, str]]
    against_approval: list[str]
    against_refusal: list[str]
    own: Signature | None

    @property
    def may_approve(self) -> bool:
        return not self.against_approval

    @property
    def may_refuse(self) -> bool:
        return not self.against_refusal


def address(campaign: Campaign) -> str:
    return reverse("gates:sign_off", args=[campaign.pk])


def facts_of(campaign: Campaign, now: datetime) -> dict[str, Any]:
    """Return what everybody sees of the decision, whoever looks."""
    stage = stage_of(campaign)
    sha256 = evidence_sha256(campaign, stage=stage)
    standings = role_standings(campaign, stage, sha256)
    against = obstacles(campaign, stage, now)
    gates = shown.gates_shown(campaign)
    before = shown.last_signed(campaign)
    first = role_standings(campaign) if stage == SignOff.Stage.NEXT_STEP else ()
    return {
        "now": now,
        "campaign": campaign,
        "stage": stage,
        "evidence_sha256": sha256,
        "decision": decision_of(campaign, stage, standings, bool(against)),
        "standings": standings,
        "first_standings": first,
        "obstacles": against,
        "gates": gates,
        "untested": shown.untested(campaign, gates),
        "findings": shown.findings_shown(campaign),
        "interventions": shown.interventions(campaign),
        "looks": shown.looks(campaign, now),
        "alerts": list(open_alerts().filter(target=campaign.target)[:20]),
        "reviews": list(reviews(campaign)),
        "earlier": shown.earlier(campaign),
        "last_signed": before,
        "differences": shown.differences(before, campaign) if before else (),
        "ladder": LADDER,
        "rung": next_rung(campaign) if stage == SignOff.Stage.NEXT_STEP else LADDER[0],
        "as_of": shown.as_of(campaign),
    }


def desk_of(campaign: Campaign, person: User, proof: Proof, facts: dict[str, Any]) -> Desk:
    """Return what this person can do now, and why not."""
    stage, now = facts["stage"], facts["now"]
    never = unsignable(campaign, stage)
    mine = person_obstacles(campaign, stage, person)
    lacking = [(what, address_to_give(what, address(campaign) + "#sign")) for what in proof.lacking(now)]
    unproven = [f"Say again who you are: {what}." for what, _ in lacking]
    touched = set(touches(campaign, person))
    refusal = [never] if never else [reason for reason in mine if reason not in touched]
    approval = [one.sentence for one in facts["obstacles"]] + list(mine)
    decided = (one.decision for one in facts["standings"] if one.decision)
    return Desk(
        roles=roles_of(person),
        phrase=phrase_for(campaign, stage),
        lacking=lacking if not never and roles_of(person) else [],
        against_approval=approval or unproven,
        against_refusal=refusal or unproven,
        own=next((one for one in decided if one.row.person_id == person.pk), None),
    )


def may_review(campaign: Campaign, person: User) -> bool:
    """Whether to offer the form for a code review."""
    going = campaign.state in (State.RUNNING, State.READY)
    return campaign.signable and going and person.has_perm(REVIEW_CODE) and campaign.started_by_id != person.pk


def decision_of(campaign: Campaign, stage: str, standings: tuple[RoleStanding, ...], stands_against: bool) -> Decision:
    """Say what is asked and how it stands: the worst that is known comes first."""
    return Decision(
        _question(campaign, stage),
        *(_no(campaign, stage, standings) or _open(campaign, stage, standings, stands_against)),
    )


def _no(campaign: Campaign, stage: str, standings: tuple[RoleStanding, ...]) -> tuple[str, str, str] | None:
    """Return status, word and sentence where the answer is no, whoever still signs."""
    if not campaign.signable:
        return "inconclusive", "cannot be signed", unsignable(campaign, stage)
    if campaign.state == State.STOPPED:
        return "failed", "no", f"No money for this build. The campaign was stopped: {campaign.stopped_reason}"
    for one in standings:
        if one.decision and one.decision.status == "refused":
            row = one.decision.row
            return "failed", "refused", f"{row.person} refused as {row.role}: {row.statement}"
    return None


def _open(
    campaign: Campaign, stage: str, standings: tuple[RoleStanding, ...], stands_against: bool
) -> tuple[str, str, str]:
    left = missing(campaign, stage)
    if not left:
        return "passed", "approved", _approved(campaign, stage)
    if campaign.state in (State.APPROVED, State.LIVE):
        return "failed", "void", f"It was approved, and is no longer. {left[0]}"
    if stands_against:
        return "waiting", "not yet", "Nobody can approve it yet: what stands against it is below."
    signed = sum(one.decision is not None for one in standings)
    words = "nobody has signed yet" if not signed else f"{signed} of {len(standings)} have signed"
    return "running", "to decide", f"Everything that must be shown is shown; {words}."


def _question(campaign: Campaign, stage: str) -> str:
    if stage == SignOff.Stage.NEXT_STEP:
        rung = next_rung(campaign)
        return f"May this build of {campaign.target} trade with up to ${rung.amount:,}?"
    return f"May this build of {campaign.target} trade with $100 to ${LADDER[0].amount:,} of real money for 30 days?"


def _approved(campaign: Campaign, stage: str) -> str:
    if stage == SignOff.Stage.NEXT_STEP:
        last = campaign.sign_offs.filter(stage=stage).order_by("-number").first()
        until = f"{last.at + GOOD_FOR:%Y-%m-%d}" if last else "one year from now"
        return f"Every role has approved: up to ${next_rung(campaign).amount:,}, for this build alone, until {until}."
    return "Every role has approved. A capital plan with its limits comes next, then gate 4 opens."


def summary(campaign: Campaign) -> dict[str, Any]:
    """Return what the campaign's page shows of its sign-off: in `_signoff_summary.html`, as `signoff`."""
    stage = stage_of(campaign)
    standings = role_standings(campaign, stage)
    return {
        "address": address(campaign),
        "stage": stage,
        "standings": standings,
        "decision": decision_of(campaign, stage, standings, stands_against=False),
    }
