"""Which account a target trades on, as one fingerprint: two names for one system share it."""

from hashlib import sha256
from urllib.parse import urlsplit

from gates.targets.access import Access


def account_sha256(reach: Access) -> str:
    """Return the SHA-256 of the broker's host and port and the account's number; it tells neither to who reads it."""
    address = urlsplit(reach.broker_url)
    return sha256(f"{address.netloc.rpartition('@')[2].lower()} {reach.broker_account}".encode()).hexdigest()
