"""Fingerprints: the same thing wrong at the same place has the same one, whenever it is found."""

import hashlib

import rfc8785

from audits.findings import Finding


def fingerprint(target_id: int, found: Finding) -> str:
    """Return the SHA-256 over target, rule and the keys of the rows; what was measured is left out."""
    return hashlib.sha256(rfc8785.dumps([target_id, found.rule, dict(found.where)])).hexdigest()
