"""What people decide: a code review, an approval, a refusal, a withdrawal. Each once, whole, or refused in a sentence.

The rules stand twice: here with words, and in the database (`gates.models.signoff`) for whoever comes another way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from audits.verdicts import Verdict
from gates.campaigns.commands import CampaignRefusedError, approve, stop
from gates.checks import health
from gates.evidence.standing import evidence_sha256
from gates.models import Campaign, CodeReview, Incident, SignOff
from gates.roles import REVIEW_CODE
from gates.signoff.obstacles import obstacles, role_taken, roles_of, touches, unsignable
from gates.signoff.proving import Proof
from gates.signoff.standing import WENT_ON, missing, signatures
from gates.targets.access import TargetUnreachableError, access

State = Campaign.State
APPROVE, REFUSE, WITHDRAW = SignOff.Decision.APPROVE, SignOff.Decision.REFUSE, SignOff.Decision.WITHDRAW
LEAST_WORDS = 10  # characters of a statement: a name or a tick explains nothing
MOST_WORDS = 4000


class SignOffRefusedError(Exception):
    """What a person wanted to decide cannot be; the message says why and what to do. Nothing was kept."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants to decide, and what they saw when they did: the page's evidence and build."""

    campaign_id: int
    person: User
    role: str
    decision: str
    statement: str
    phrase: str
    stage: str
    evidence_sha256: str
    build: str
    proof: Proof


def phrase_for(campaign: Campaign, stage: str) -> str:
    """Return what is typed with an approval; where nobody knows who started the campaign, it also says who did not."""
    what = f"campaign {campaign.pk}" if stage == SignOff.Stage.CAPITAL else f"the next step of campaign {campaign.pk}"
    return f"I approve {what}" + ("" if campaign.started_by_id else " and did not start it")


def sign(asked: Asked, now: datetime) -> SignOff:
    """Keep an approval or a refusal; with the last approval that is needed the campaign moves on.

    1. Look at the target: another build ends the story. 2. Lock the campaign, so that decisions come one by one.
    3. Compare what the person saw with what is. 4. The person: role, proof, four eyes. 5. For an approval: the
    campaign, the person's hands, the typed phrase. 6. Keep it. 7. Move the campaign on when nothing is missing.

    Raises SignOffRefusedError.
    """
    statement = _words(asked.statement)
    _demand_same_build(asked.campaign_id)
    with _whole(), transaction.atomic():
        campaign = _locked(asked.campaign_id)
        _demand_decision(campaign, asked)
        _demand_fresh(campaign, asked)
        _demand_person(campaign, asked, now)
        if asked.decision == APPROVE:
            _demand_approvable(campaign, asked, now)
        row = _keep(campaign, asked, statement, now)
        _move(campaign, row, now)
    return row


def _move(campaign: Campaign, row: SignOff, now: datetime) -> None:
    """Let a ready campaign go on with its last approval, and stop by a refusal one that went on already."""
    if row.stage == SignOff.Stage.CAPITAL and campaign.state == State.READY and not missing(campaign):
        approve(campaign.pk, now)
    if row.decision == REFUSE and campaign.state in WENT_ON:
        reason = f"{row.person} refused as {row.role}: {row.statement}"
        stop(campaign.pk, reason, verdict=Verdict.INCONCLUSIVE, now=now)


def withdraw(decision_id: int, *, person: User, statement: str, proof: Proof, now: datetime) -> SignOff:
    """Take back one's own decision by a second row; of an approval that let a campaign go on, the campaign stops.

    Raises SignOffRefusedError.
    """
    words = _words(statement)
    with _whole(), transaction.atomic():
        made = SignOff.objects.filter(pk=decision_id).first()
        if made is None or made.person_id != person.pk or made.decision == WITHDRAW:
            raise SignOffRefusedError("Only a decision of your own can be withdrawn.")
        campaign = _locked(made.campaign_id)
        if SignOff.objects.filter(withdraws=made).exists():
            raise SignOffRefusedError("This decision is withdrawn already.")
        if campaign.state == State.ENDED and made.stage == SignOff.Stage.CAPITAL:
            raise SignOffRefusedError("Gate 4 has ended: what is left to decide is the next step.")
        _demand_proof(proof, now)
        row = SignOff.objects.create(
            campaign=campaign,
            stage=made.stage,
            number=_next_number(campaign, made.stage),
            role=made.role,
            person=person,
            decision=WITHDRAW,
            statement=words,
            evidence_sha256=made.evidence_sha256,
            build=made.build,
            withdraws=made,
            authenticated_by=proof.kept(),
            at=now,
        )
        if made.decision == APPROVE and campaign.state in WENT_ON:
            reason = f"{person} withdrew the approval as {made.role}: {words}"
            stop(campaign.pk, reason, verdict=Verdict.INCONCLUSIVE, now=now)
    return row


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a reviewer of the code says: of which build, with which outcome, and where the review can be read."""

    campaign_id: int
    build: str
    accepted: bool
    statement: str
    reference: str


def record_review(reviewed: Reviewed, *, reviewer: User, now: datetime) -> CodeReview:
    """Keep a code review of a campaign's build, by somebody who did not start it. Raises SignOffRefusedError."""
    words = _words(reviewed.statement)
    with _whole(), transaction.atomic():
        campaign = _locked(reviewed.campaign_id)
        if not campaign.signable:
            raise SignOffRefusedError(f"A {campaign.trial} cannot be signed, so it needs no code review.")
        if campaign.state not in (State.RUNNING, State.READY):
            raise SignOffRefusedError(f"The campaign is {campaign.state}: a code review comes before the signatures.")
        if not reviewer.has_perm(REVIEW_CODE):
            raise SignOffRefusedError("Your roles review no code: an engineer or an auditor does.")
        if campaign.started_by_id == reviewer.pk:
            raise SignOffRefusedError("You started this campaign: somebody else reviews its code.")
        if Incident.objects.filter(fixed_build=campaign.build, fixed_by=reviewer).exists():
            raise SignOffRefusedError("You fixed what this build changes: somebody else reviews its code.")
        if reviewed.build != campaign.build:
            raise SignOffRefusedError(f"The campaign is for the build {campaign.build}: review that one.")
        return CodeReview.objects.create(
            campaign=campaign,
            reviewer=reviewer,
            build=reviewed.build,
            accepted=reviewed.accepted,
            reference=reviewed.reference.strip()[:300],
            statement=words,
            at=now,
        )


@contextmanager
def _whole() -> Iterator[None]:
    """Turn what the database refuses into one sentence: its rules are the last that speak."""
    try:
        yield
    except CampaignRefusedError as error:
        raise SignOffRefusedError(str(error)) from error
    except DatabaseError as error:
        sentence = str(error).strip().splitlines()[0]
        raise SignOffRefusedError(f"The database refused it: {sentence}.") from error


def _locked(campaign_id: int) -> Campaign:
    campaigns = Campaign.objects.select_for_update(of=("self",)).select_related("target")
    campaign = campaigns.filter(pk=campaign_id).first()
    if campaign is None:
        raise SignOffRefusedError("There is no such campaign.")
    return campaign


def _words(statement: str) -> str:
    words = statement.strip()
    if len(words) < LEAST_WORDS:
        raise SignOffRefusedError(f"Say why in your own words, at least {LEAST_WORDS} characters.")
    if len(words) > MOST_WORDS:
        raise SignOffRefusedError(f"At most {MOST_WORDS:,} characters: keep the rest elsewhere and name the place.")
    return words


def _demand_same_build(campaign_id: int) -> None:
    """A target that answers with another build is not what was tested; one that is silent tells nothing."""
    campaign = Campaign.objects.select_related("target").filter(pk=campaign_id).first()
    if campaign is None or not campaign.signable or campaign.state == State.STOPPED:
        return
    try:
        build = health.observe(access(campaign.target.spec)).get("build")
    except TargetUnreachableError:
        return
    if build and build != campaign.build:
        raise SignOffRefusedError(f"The target's build is {build} now and {campaign.build} was tested: start anew.")


def _demand_decision(campaign: Campaign, asked: Asked) -> None:
    if asked.stage not in SignOff.Stage.values or asked.decision not in (APPROVE, REFUSE):
        raise SignOffRefusedError("Approve or refuse: there is no third decision.")
    never = unsignable(campaign, asked.stage)
    if never:
        raise SignOffRefusedError(never)


def _demand_fresh(campaign: Campaign, asked: Asked) -> None:
    """What is signed is what was read: a page from before the last change signs nothing."""
    if asked.build != campaign.build:
        raise SignOffRefusedError(f"Your page showed the build {asked.build or '(none)'}: read it again, then decide.")
    if asked.evidence_sha256 != evidence_sha256(campaign, stage=asked.stage):
        raise SignOffRefusedError("The evidence changed while you read: the page shows it as it is now, read it again.")


def _demand_person(campaign: Campaign, asked: Asked, now: datetime) -> None:
    if asked.role not in settings.SIGN_OFF_ROLES or asked.role not in roles_of(asked.person):
        raise SignOffRefusedError(f"You cannot sign as {asked.role or 'nobody'}: an administrator gives roles.")
    taken = role_taken(signatures(campaign, asked.stage, asked.evidence_sha256), asked.person, asked.role)
    if taken:
        raise SignOffRefusedError(taken)
    _demand_proof(asked.proof, now)


def _demand_proof(proof: Proof, now: datetime) -> None:
    lacking = proof.lacking(now)
    if lacking:
        raise SignOffRefusedError(f"Say again who you are first: your {' and your '.join(lacking)}.")


def _demand_approvable(campaign: Campaign, asked: Asked, now: datetime) -> None:
    against = [one.sentence for one in obstacles(campaign, asked.stage, now)]
    against += [f"{touch} Who touched it cannot approve it." for touch in touches(campaign, asked.person)]
    if against:
        raise SignOffRefusedError(against[0])
    if " ".join(asked.phrase.split()) != phrase_for(campaign, asked.stage):
        raise SignOffRefusedError(f"Type the words “{phrase_for(campaign, asked.stage)}” to approve.")


def _keep(campaign: Campaign, asked: Asked, statement: str, now: datetime) -> SignOff:
    return SignOff.objects.create(
        campaign=campaign,
        stage=asked.stage,
        number=_next_number(campaign, asked.stage),
        role=asked.role,
        person=asked.person,
        decision=asked.decision,
        statement=statement,
        evidence_sha256=asked.evidence_sha256,
        build=asked.build,
        authenticated_by=asked.proof.kept(),
        at=now,
    )


def _next_number(campaign: Campaign, stage: str) -> int:
    return campaign.sign_offs.filter(stage=stage).count() + 1
