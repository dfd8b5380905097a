"""Replacing the signing key: the chain records it, so that whoever knows one key can follow to the next."""

from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from gates.evidence.chaining import Belongs, append, lock_chain, sealed_next
from gates.evidence.folder import write_file
from gates.evidence.keys import SigningKey, SigningKeyError, next_key, public_keys, take_next
from gates.evidence.signing import expected_fingerprint, portal_key
from gates.models import Report
from gates.report_fields import utc

SCHEMA = "wartest.key-rotation/1"


class CannotRotateError(Exception):
    """The key cannot be replaced; the message says why and what to do."""


def rotate_key(reason: str, *, lost: bool, now: datetime) -> Report:
    """Replace the signing key, and record it as a link of the chain.

    1. Write the new key beside the old one.
    2. Chain a link that names both, signed by the old key; by the new one where the old one is lost.
    3. Put the new key in the old one's place, which destroys the old private key. Its public key stays.

    A crash after 2 is finished when the key is next used. Raises CannotRotateError, SigningKeyError.
    """
    home = Path(settings.ENVIRONMENT.wartest_home)
    with transaction.atomic():
        lock_chain()
        before = expected_fingerprint()
        if before is None:
            raise CannotRotateError("Nothing is signed yet, so there is no key to replace.")
        old = _old_key(lost=lost)
        new = next_key(home)
        body = _record(home, before, new, lost=lost) | {"reason": reason, "at": utc(now)}
        report = append(sealed_next(body, old or new), Belongs(), at=now, now=now)
    take_next(home)
    write_file(report, Path(settings.ENVIRONMENT.reports_dir))
    return report


def _old_key(*, lost: bool) -> SigningKey | None:
    """Return the key that is replaced, or None where it is lost indeed."""
    try:
        key = portal_key()
    except SigningKeyError:
        if lost:
            return None
        raise
    if lost:
        raise CannotRotateError(
            f"The key {key.public.fingerprint[:16]}… is here and can sign for the next one: rotate without --lost."
        )
    return key


def _record(home: Path, before: str, new: SigningKey, *, lost: bool) -> dict[str, Any]:
    known = {key.fingerprint: key.pem for key in public_keys(home)}
    return {
        "schema": SCHEMA,
        "kind": Report.ROTATION,
        "campaign": None,
        "run": None,
        "from": {"fingerprint": before, "public_key": known.get(before)},
        "to": {"fingerprint": new.public.fingerprint, "public_key": new.public.pem},
        "lost": lost,
    }
