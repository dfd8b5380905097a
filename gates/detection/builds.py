"""Which war test it is: one hash over the code that strikes, judges and is planted."""

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("audits", "gates")
APART = ("migrations", "pages", "admin")  # what strikes nothing and judges nothing


@cache
def war_test_build() -> str:
    """The build of the code on disk, as 16 hexadecimal digits; read once in the life of a process."""
    digest = hashlib.sha256()
    for path in sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py")):
        if not set(path.parts).intersection(APART):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
