"""Seals: the hash over a report's content, and the signature that ties it to the report before. Pure."""

import hashlib
from typing import Any

import rfc8785

from gates.evidence.keys import SigningKey

Seal = dict[str, Any]


def body_sha256(body: dict[str, Any]) -> str:
    """Return the SHA-256 over the canonical JSON (RFC 8785) of everything but the seal itself."""
    return hashlib.sha256(rfc8785.dumps({key: body[key] for key in body if key != "seal"})).hexdigest()


def hash_of(body: dict[str, Any]) -> str | None:
    """Return `body_sha256` of what somebody else wrote: None where it has no canonical form."""
    try:
        return body_sha256(body)
    except (ValueError, RecursionError):  # numbers beyond JSON's, half a character, nesting without end
        return None


def signed_part(seal: Seal) -> bytes:
    """Return what a seal's signature is made over: its own canonical JSON without the signature.

    So the signature covers the report's hash and its place in the chain: neither can be changed without it.
    """
    return rfc8785.dumps({name: seal[name] for name in ("previous", "sha256", "signed_by")})


def sealed(body: dict[str, Any], *, previous: str | None, key: SigningKey | None) -> dict[str, Any]:
    """Return the body with its seal: chained to the hash `previous`, signed where there is a key."""
    seal: Seal = {"sha256": body_sha256(body), "previous": previous, "signed_by": None, "signature": None}
    if key is not None:
        seal["signed_by"] = key.public.fingerprint
        seal["signature"] = key.sign(signed_part(seal))
    return body | {"seal": seal}
