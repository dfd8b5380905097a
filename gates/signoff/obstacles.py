"""What stands against an approval: of the campaign, and of the person who would sign. A sentence for each."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.urls import reverse

from gates.models import (
    Alert,
    AlertStep,
    Campaign,
    ChaosRun,
    CodeReview,
    Finding,
    LedgerAudit,
    LiveRun,
    Report,
    SignOff,
)
from gates.models.findings import FindingChange
from gates.reports import SUCCESS
from gates.signoff.standing import VOID, WENT_ON, Signature, found_changed, missing, signatures, unsealed

CAPITAL, NEXT_STEP = SignOff.Stage.CAPITAL, SignOff.Stage.NEXT_STEP
STARTED = {2: ChaosRun, 3: LedgerAudit, 4: LiveRun}  # by gate; gate 1 is started with its campaign
GATES_NEEDED = {CAPITAL: (1, 2, 3), NEXT_STEP: (1, 2, 3, 4)}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason why nobody can approve now, and where it can be cleared away."""

    sentence: str
    address: str = ""


def stage_of(campaign: Campaign) -> SignOff.Stage:
    """Return which decision a campaign is at: about live capital until gate 4 has ended, then about the next step."""
    return NEXT_STEP if campaign.state == Campaign.State.ENDED else CAPITAL


def unsignable(campaign: Campaign, stage: str) -> str:
    """Say why nobody can decide about the campaign at all, neither yes nor no; empty where somebody can.

    Signatures that became void after the campaign went on can be given again, for what the evidence is now.
    """
    if not campaign.signable:
        return f"A {campaign.trial} cannot be signed: only a campaign in the profile production proves enough."
    if campaign.state == Campaign.State.STOPPED:
        return f"The campaign was stopped: {campaign.stopped_reason}"
    if stage == NEXT_STEP:
        return "" if campaign.state == Campaign.State.ENDED else "The next step waits for the end of gate 4."
    if campaign.state == Campaign.State.RUNNING:
        return "Gates 1 to 3 have not all passed yet: the campaign is still running."
    if campaign.state == Campaign.State.READY or (campaign.state in WENT_ON and missing(campaign)):
        return ""
    return f"The decision about live capital is made: the campaign is {campaign.state}."


def obstacles(campaign: Campaign, stage: str, now: datetime) -> tuple[Obstacle, ...]:
    """Return everything of the campaign that stands against an approval; a refusal needs none of it cleared."""
    never = unsignable(campaign, stage)
    if never:
        return (Obstacle(never),)
    sealed = (*_evidence(campaign), *_reports(campaign, stage))
    return (*sealed, *_review(campaign), *_alerts(campaign, now), *_findings(campaign, stage))


def _evidence(campaign: Campaign) -> list[Obstacle]:
    look = found_changed(campaign)
    if look is None:
        return []
    where = reverse("gates:campaign_evidence", args=[campaign.pk]) if look.campaign_id else reverse("gates:evidence")
    return [Obstacle(unsealed(campaign), where)]


def _reports(campaign: Campaign, stage: str) -> list[Obstacle]:
    written = set(Report.objects.filter(campaign=campaign, verdict="passed").values_list("run__gate", "kind"))
    gates = {gate for gate, _ in written}
    found = [
        Obstacle(f"Gate {gate} has no sealed report that says passed.")
        for gate in GATES_NEEDED[SignOff.Stage(stage)]
        if gate not in gates
    ]
    if not found and (None, SUCCESS) not in written:
        found.append(Obstacle("The campaign's own report is not written yet: the engine writes it within a minute."))
    return found


def _review(campaign: Campaign) -> list[Obstacle]:
    """The latest word of each reviewer counts: one must accept the code, and none may reject it."""
    latest = {row.reviewer_id: row for row in reviews(campaign) if row.build == campaign.build}
    rejected = next((row for row in latest.values() if not row.accepted), None)
    if rejected:
        return [Obstacle(f"{rejected.reviewer} reviewed the code and does not accept it: {rejected.statement}")]
    if latest:
        return []
    return [Obstacle("No independent code review of this build is recorded.", "#review")]


def reviews(campaign: Campaign) -> QuerySet[CodeReview]:
    return campaign.code_reviews.select_related("reviewer").order_by("at", "pk")


def _alerts(campaign: Campaign, now: datetime) -> list[Obstacle]:
    """That signatures are void is no obstacle to giving them again."""
    going = Alert.objects.filter(target=campaign.target).exclude(state=Alert.State.RESOLVED).exclude(rule=VOID)
    critical = going.filter(level="critical").count()
    overdue = going.filter(~Q(level="critical"), deadline_at__lt=now).count()
    where = reverse("gates:alerts")
    found = []
    if critical:
        found.append(Obstacle(f"{_count(critical, 'critical alert')} not resolved.", where))
    if overdue:
        found.append(Obstacle(f"{_count(overdue, 'alert')} past the deadline.", where))
    return found


def _findings(campaign: Campaign, stage: str) -> list[Obstacle]:
    gates = GATES_NEEDED[SignOff.Stage(stage)]
    left = Finding.objects.filter(
        run__campaign=campaign, run__gate__in=gates, state=Finding.State.TO_INVESTIGATE
    ).count()
    if not left:
        return []
    where = f"{reverse('admin:gates_finding_changelist')}?state__exact=to+investigate"
    return [Obstacle(f"{_count(left, 'finding')} still to investigate: what is not understood is not signed.", where)]


def _count(number: int, word: str) -> str:
    return f"1 {word} is" if number == 1 else f"{number:,} {word}s are"


def touches(campaign: Campaign, person: User) -> tuple[str, ...]:
    """Say how a person touched the campaign; whoever did cannot approve it.

    These count: starting the campaign or one of its runs, changing what is made of a finding of it, and acknowledging
    an alert of it. Looking, reviewing the code, and deciding about it do not.
    """
    found = []
    if campaign.started_by_id == person.pk:
        found.append("You started this campaign.")
    for gate, model in STARTED.items():
        if model._default_manager.filter(run__campaign=campaign, started_by=person).exists():
            found.append(f"You started gate {gate} of this campaign.")
    worked = FindingChange.objects.filter(pgh_obj__run__campaign=campaign, pgh_context__user=person.pk)
    if worked.exists():
        found.append("You worked on the findings of this campaign.")
    if AlertStep.objects.filter(alert__run__campaign=campaign, person=person, kind="acknowledged").exists():
        found.append("You acknowledged alerts of this campaign.")
    return tuple(found)


def roles_of(person: User) -> list[str]:
    """Return the roles in which a person may sign, in the order of the setting."""
    mine = set(person.groups.values_list("name", flat=True)) if person.is_active else set()
    return [role for role in settings.SIGN_OFF_ROLES if role in mine]


def role_taken(made: tuple[Signature, ...], person: User, role: str) -> str:
    """Say whose decision stands already, this person's or this role's; empty where neither does."""
    standing = [one for one in made if one.stands]
    mine = next((one for one in standing if one.row.person_id == person.pk), None)
    if mine:
        return f"You have decided already, as {mine.row.role}: nobody signs twice. Withdraw it first."
    theirs = next((one for one in standing if one.row.role == role), None)
    return f"{theirs.row.person} has decided as {role} already." if theirs else ""


def person_obstacles(campaign: Campaign, stage: str, person: User) -> tuple[str, ...]:
    """Return what stands against an approval by this person, whatever the campaign shows."""
    roles = roles_of(person)
    if not roles:
        return (f"Your roles sign nothing; these do: {', '.join(settings.SIGN_OFF_ROLES)}.",)
    made = signatures(campaign, stage)
    taken = [role_taken(made, person, role) for role in roles]
    return (*(taken[:1] if all(taken) else ()), *touches(campaign, person))
