"""What a program says, without the secrets that it was given: its words go into pages, reports and evidence."""

from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote, urlsplit

from audits.sources.hiding import HIDDEN

LEAST_CHARACTERS = 3  # what is shorter is no secret, and hiding it would leave no words


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Return the text without the secrets, nor a password that stands in one, as they are written in addresses too."""
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= LEAST_CHARACTERS}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def password_of(address: str) -> str:
    """Return the password of an address as it is written there; empty where it has none."""
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""


def _forms(secret: str) -> Iterator[str]:
    for one in (secret, password_of(secret)):
        yield from (one, unquote(one), quote(one, safe=""))
