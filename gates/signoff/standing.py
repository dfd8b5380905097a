"""How the signatures under a campaign stand now: computed on reading, since what they rest on may have changed."""

from dataclasses import dataclass

from django.conf import settings

from audits.verdicts import Verdict
from gates.evidence.standing import CAPITAL, evidence_sha256
from gates.models import Campaign, SignOff, Verification

APPROVE, REFUSE, WITHDRAW = SignOff.Decision.APPROVE, SignOff.Decision.REFUSE, SignOff.Decision.WITHDRAW
WENT_ON = (Campaign.State.APPROVED, Campaign.State.LIVE)
VOID = "signatures void"  # the alert of a campaign that went on by signatures which do not stand any more
STATUS = {APPROVE: "approved", REFUSE: "refused"}


@dataclass(frozen=True, slots=True)
class Signature:
    """One decision as it stands: `approved`, `refused`, `withdrawn` or `void`, and why it is not what it was."""

    row: SignOff
    status: str
    why: str = ""

    @property
    def stands(self) -> bool:
        return self.status in STATUS.values()


@dataclass(frozen=True, slots=True)
class RoleStanding:
    """A role whose signature is needed: the decision that stands, and those that do not stand any more."""

    role: str
    decision: Signature | None
    before: tuple[Signature, ...]


def signatures(campaign: Campaign, stage: str = CAPITAL, sha256: str = "") -> tuple[Signature, ...]:
    """Return the decisions about a campaign in their order; `sha256` is its evidence now, where it is known."""
    sha256 = sha256 or evidence_sha256(campaign, stage=stage)
    made = campaign.sign_offs.filter(stage=stage).select_related("person").order_by("number")
    rows = list(made)
    withdrawn = {row.withdraws_id: row for row in rows if row.withdraws_id}
    return tuple(_signature(row, withdrawn.get(row.pk), campaign, sha256) for row in rows if row.decision != WITHDRAW)


def _signature(row: SignOff, withdrawal: SignOff | None, campaign: Campaign, sha256: str) -> Signature:
    if withdrawal is not None:
        return Signature(row, "withdrawn", f"Withdrawn at {withdrawal.at:%Y-%m-%d %H:%M} UTC: {withdrawal.statement}")
    if campaign.state == Campaign.State.STOPPED:
        return Signature(row, "void", f"The campaign was stopped: {campaign.stopped_reason}")
    if row.build != campaign.build:
        return Signature(row, "void", f"It was given for the build {row.build}.")
    if row.evidence_sha256 != sha256:
        return Signature(row, "void", f"The evidence changed since: it was given for {row.evidence_sha256[:12]}….")
    return Signature(row, STATUS[SignOff.Decision(row.decision)])


def role_standings(campaign: Campaign, stage: str = CAPITAL, sha256: str = "") -> tuple[RoleStanding, ...]:
    """Return each needed role with its decision; a role that is not needed any more shows where it decided."""
    made = signatures(campaign, stage, sha256)
    roles = dict.fromkeys([*settings.SIGN_OFF_ROLES, *(one.row.role for one in made)])
    return tuple(_of_role(role, [one for one in made if one.row.role == role]) for role in roles)


def _of_role(role: str, mine: list[Signature]) -> RoleStanding:
    standing = next((one for one in mine if one.stands), None)
    return RoleStanding(role, standing, tuple(one for one in mine if one is not standing))


def missing(campaign: Campaign, stage: str = CAPITAL, sha256: str = "") -> tuple[str, ...]:
    """Return what still prevents the approval, a sentence for each role; nothing means that all have approved.

    Signatures under evidence that was found changed are worth nothing until it is whole again: this comes first.
    """
    needed = [one for one in role_standings(campaign, stage, sha256) if one.role in settings.SIGN_OFF_ROLES]
    return tuple(sentence for sentence in (unsealed(campaign), *map(_missing, needed)) if sentence)


def found_changed(campaign: Campaign) -> Verification | None:
    """Return the newest look that found evidence changed, the campaign's or any of the portal's; None where none did.

    A look that could not judge takes nothing back: only one that passes does.
    """
    for part in (campaign, None):
        judged = Verification.objects.filter(campaign=part).exclude(verdict=Verdict.INCONCLUSIVE)
        newest = judged.order_by("-at", "-pk").first()
        if newest is not None and newest.verdict == Verdict.FAILED:
            return newest
    return None


def unsealed(campaign: Campaign) -> str:
    """Say what was found changed of the evidence; empty where nothing was."""
    look = found_changed(campaign)
    return f"The evidence is not what was sealed: {look.wrong[0]}" if look else ""


def _missing(standing: RoleStanding) -> str:
    role = f"the {standing.role}"
    if standing.decision is None:
        void = next((one for one in reversed(standing.before) if one.status == "void"), None)
        return f"The signature of {role} is void. {void.why}" if void else f"{role.capitalize()} has not signed."
    if standing.decision.status == "refused":
        return f"{role.capitalize()} refused: {standing.decision.row.statement}"
    return ""


def is_signed(campaign: Campaign, stage: str = CAPITAL) -> bool:
    """Whether every needed role has approved, for this evidence and this build, and nobody withdrew."""
    return campaign.signable and not missing(campaign, stage)
