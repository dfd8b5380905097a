"""Which reader reads a ledger: told by its address."""

from pathlib import Path
from urllib.parse import urlsplit

from audits.sources import Ledger, LedgerUnreadable
from audits.sources.folder import FolderLedger
from audits.sources.postgres import PostgresLedger


def ledger_at(address: str, *, schema: str = "wartest") -> Ledger:
    """Return the reader for `postgresql://…` or for a folder of files.

    Raises LedgerUnreadable for any other address.
    """
    scheme = urlsplit(address).scheme
    if scheme in ("postgresql", "postgres"):
        return PostgresLedger(address, schema)
    if "://" not in address:
        return FolderLedger(Path(address))
    raise LedgerUnreadable(f"A ledger at {scheme}:// cannot be read: name postgresql://… or a folder.")
