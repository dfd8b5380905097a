"""Who signs proves who they are again: the password, and the second factor where one is enrolled, minutes ago."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import urlencode

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse

PASSWORD, SECOND_FACTOR = "password", "second factor"
ADDRESSES = {PASSWORD: "account_reauthenticate", SECOND_FACTOR: "mfa_reauthenticate"}
METHODS = {"password": PASSWORD, "mfa": SECOND_FACTOR}


@dataclass(frozen=True, slots=True)
class Proof:
    """What a person gave again, and when; `needed` is what a signature asks of them."""

    needed: tuple[str, ...]
    given: dict[str, datetime]

    def lacking(self, now: datetime) -> tuple[str, ...]:
        """Return what was not given within the limit."""
        limit = timedelta(seconds=settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)
        return tuple(what for what in self.needed if what not in self.given or now - self.given[what] > limit)

    def kept(self) -> list[dict[str, str]]:
        """Return the proof as a signature keeps it."""
        return [{"method": what, "at": self.given[what].isoformat()} for what in self.needed if what in self.given]


def proof_of(request: HttpRequest) -> Proof:
    """Read what the session's person gave again; signing in does not count."""
    person = cast("User", request.user)
    needed = (PASSWORD, SECOND_FACTOR) if is_mfa_enabled(person, [Authenticator.Type.TOTP]) else (PASSWORD,)
    given: dict[str, datetime] = {}
    for record in get_authentication_records(request, person):
        what = METHODS.get(str(record.get("method")))
        if what and record.get("reauthenticated"):
            given[what] = datetime.fromtimestamp(float(record["at"]), UTC)
    return Proof(needed, given)


def address_to_give(what: str, back: str) -> str:
    """Return where a password or a code is given again, and then led back."""
    return f"{reverse(ADDRESSES[what])}?{urlencode({'next': back})}"
