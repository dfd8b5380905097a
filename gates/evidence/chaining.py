"""Adding a link to the portal's chain of reports: one at a time, signed by the portal's key."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from gates.evidence.keys import SigningKey
from gates.evidence.sealing import sealed
from gates.models import Campaign, Report, Run

CHAIN_LOCK = 7_731_002  # any fixed number of our own: one report at a time is chained to the one before


@dataclass(frozen=True, slots=True)
class Belongs:
    """What a link is of: a run of a campaign, a campaign, or neither where it only records a change of the key."""

    campaign: Campaign | None = None
    run: Run | None = None

    @property
    def words(self) -> str:
        """What tells its file from another of the same kind and second."""
        return f"run-{self.run.pk}" if self.run else f"campaign-{self.campaign.pk}" if self.campaign else "again"


def lock_chain() -> None:
    """Keep the chain for ourselves until the transaction ends. What decides the next link is read after this."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (CHAIN_LOCK,))


def sealed_next(body: dict[str, Any], key: SigningKey) -> dict[str, Any]:
    """Return the body sealed as the chain's next link; the chain is locked."""
    previous = Report.objects.order_by("-pk").values_list("sha256", flat=True).first()
    return sealed(body, previous=previous, key=key)


def append(body: dict[str, Any], belongs: Belongs, *, at: datetime, now: datetime) -> Report:
    """Keep a sealed body as the chain's next link; its file is named by its kind and `at`. The chain is locked."""
    stem = f"{body['kind']}-{at:%Y%m%dT%H%M%SZ}"
    taken = Report.objects.filter(file_name=f"{stem}.json").exists()
    return Report.objects.create(
        run=belongs.run,
        campaign=belongs.campaign,
        kind=body["kind"],
        verdict=body.get("verdict") or "inconclusive",
        content=body,
        sha256=body["seal"]["sha256"],
        file_name=f"{stem}-{belongs.words}.json" if taken else f"{stem}.json",
        created_at=now,
    )
