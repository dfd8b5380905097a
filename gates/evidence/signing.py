"""The key that signs for this portal: what its folder holds, held against what the chain of reports expects."""

from pathlib import Path

from django.conf import settings

from gates.evidence.keys import SigningKey, key_in_use
from gates.models import Report


def portal_key() -> SigningKey:
    """Return the portal's signing key, made on first use. Raises SigningKeyError, never replacing a key in use."""
    return key_in_use(Path(settings.ENVIRONMENT.wartest_home), expected_fingerprint())


def expected_fingerprint() -> str | None:
    """Return the key that the newest signed report expects to sign next; None while nothing was ever signed."""
    newest = Report.objects.exclude(signed_by=None).order_by("-pk").first()
    if newest is None:
        return None
    return str(newest.content["to"]["fingerprint"]) if newest.kind == Report.ROTATION else newest.signed_by
