"""Reading a file of evidence: whole within a limit, or as its hash."""

import hashlib

from gates.evidence.places import FileUnreadableError, Readable
from gates.evidence.strict_json import MOST_BYTES


def bytes_of(place: Readable, name: str) -> bytes:
    """Return the whole file. Raises FileUnreadableError, also for one larger than any JSON of ours."""
    content = bytearray()
    for chunk in place.chunks(name):
        content += chunk
        if len(content) > MOST_BYTES:
            raise FileUnreadableError(f"it is larger than {MOST_BYTES // 2**20} MiB")
    return bytes(content)


def sha256_of(place: Readable, name: str) -> str:
    """Return the hash of a file of any size. Raises FileUnreadableError."""
    digest = hashlib.sha256()
    for chunk in place.chunks(name):
        digest.update(chunk)
    return digest.hexdigest()
