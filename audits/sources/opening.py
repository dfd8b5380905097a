"""Which reader reads a ledger: told by its address."""

from pathlib import Path
from urllib.parse import urlsplit

from audits.sources import Ledger, LedgerUnreadable
from audits.sources.folder import FolderLedger
from audits.sources.postgres import MAX_AGE_S, PostgresLedger
from audits.sources.postgrest import PostgrestLedger


def ledger_at(address: str, *, schema: str = "wartest", key: str = "", max_age_s: float = MAX_AGE_S) -> Ledger:
    """Return the reader for `postgresql://…`, a folder of files, or the `https://…` of a Supabase or PostgREST.

    `key` is the API key of the last. Raises LedgerUnreadable for any other address.
    """
    scheme = urlsplit(address).scheme
    if scheme in ("postgresql", "postgres"):
        return PostgresLedger(address, schema, max_age_s=max_age_s)
    if scheme in ("https", "http"):
        if not key:
            raise LedgerUnreadable(
                f"A ledger at {scheme}:// needs an API key that may read its relations: set SUPABASE_KEY."
            )
        return PostgrestLedger(address, key, schema)
    if "://" not in address:
        return FolderLedger(Path(address))
    raise LedgerUnreadable(f"A ledger at {scheme}:// cannot be read: name postgresql://…, https://… or a folder.")
