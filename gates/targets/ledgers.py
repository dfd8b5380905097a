"""Reading a target's ledger: by its PostgreSQL, or over HTTP where it is hosted."""

from django.conf import settings

from audits.sources import Ledger
from audits.sources.opening import ledger_at
from gates.targets.access import Access


def ledger_of(access: Access) -> Ledger:
    """Return the reader of the target's ledger. Raises LedgerUnreadable for an address that no reader knows."""
    return ledger_at(
        access.ledger_url,
        schema=access.ledger_schema,
        key=access.ledger_key,
        max_age_s=settings.SNAPSHOT_LIMIT_S,
    )
