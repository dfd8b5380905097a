"""Opening gates 2 and 3 of a campaign that runs as a whole."""

from datetime import datetime

from gates.chaos.commands import Asked as Struck
from gates.chaos.commands import CannotStrikeError, start_chaos
from gates.chaos.safety import UnsafeError
from gates.ledger_audit.commands import Asked as Audited
from gates.ledger_audit.commands import CannotAuditError, start_audit
from gates.models import Campaign, Run
from gates.targets.access import TargetUnreachableError


class GateShutError(Exception):
    """The gate cannot be opened now; the message says why."""


def open_gate(campaign: Campaign, gate: int, now: datetime) -> Run:
    """Start gate 2 or 3 of this campaign, in its turn or not at all. Raises GateShutError."""
    target, profile, person = campaign.target, campaign.profile, campaign.started_by
    try:
        if gate == 2:
            return start_chaos(Struck(target, profile, campaign_id=campaign.pk), started_by=person, now=now)
        if gate == 3:
            return start_audit(Audited(target, profile, campaign_id=campaign.pk), started_by=person, now=now)
    except (CannotStrikeError, CannotAuditError, UnsafeError, TargetUnreachableError) as error:
        raise GateShutError(str(error)) from error
    raise GateShutError(f"Gate {gate} does not open by itself.")
