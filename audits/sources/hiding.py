"""What an error says of an address, without the secrets in it: drivers repeat what they could not read."""

from urllib.parse import unquote, urlsplit

HIDDEN = "•••"


def without_secrets(text: str, address: str) -> str:
    """Return a text without the address, and without the user's part of it and the password, in each of its forms."""
    rest = address.partition("://")[2] or address.partition("//")[2] or address
    login = rest.rpartition("@")[0]
    secrets = {address, rest, login, login.partition(":")[2]} | _told(address)
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted((secret for secret in secrets if len(secret) > 2), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _told(address: str) -> set[str]:
    try:
        return {urlsplit(address).password or ""}
    except ValueError:
        return set()
