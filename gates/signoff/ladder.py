"""The ladder of capital: what the second sign-off allows next. The README shows it."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from gates.models import Campaign, SignOff
from gates.signoff.standing import is_signed

GOOD_FOR = timedelta(days=365)  # the yearly review that RTS 6, article 9 asks for
MOST_CAMPAIGNS = 50


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: at most so many dollars, once this is done."""

    number: int
    amount: Decimal
    condition: str


LADDER = (
    Rung(1, Decimal(500), "gates 1 to 3 passed, the first sign-off, an approved capital plan"),
    Rung(2, Decimal(2_500), "thirty days of gate 4 passed, the second sign-off"),
    Rung(3, Decimal(10_000), "two campaigns of the target in a row through all four gates, each signed twice"),
    Rung(4, Decimal(50_000), "three campaigns of the target in a row through all four gates, each signed twice"),
)


def next_rung(campaign: Campaign) -> Rung:
    """Return the step that the second sign-off of this campaign allows.

    Each earlier campaign of the target that ended and was signed twice counts one step, newest first, until one that
    was stopped while it was live: after that the target climbs from the start again.
    """
    earlier = Campaign.objects.filter(
        target=campaign.target, profile=campaign.profile, ended_at__isnull=False, started_at__lt=campaign.started_at
    ).order_by("-started_at")
    climbed = 0
    for before in earlier[:MOST_CAMPAIGNS]:
        if before.state == Campaign.State.ENDED and is_signed(before, SignOff.Stage.NEXT_STEP):
            climbed += 1
        elif before.runs.filter(gate=4).exists():
            break
    return LADDER[min(climbed + 1, len(LADDER) - 1)]
