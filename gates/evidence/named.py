"""What a report names by hash besides files: the snapshots of books that it rests on, and where they lie. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NamedSnapshot:
    """A snapshot's folder in the evidence, the hash of its manifest, the moment of the books and their size."""

    folder: str
    manifest_sha256: str
    moment: str
    bytes: int


def snapshots_named(body: Mapping[str, Any], run: int | None) -> tuple[NamedSnapshot, ...]:
    """Return the snapshots of a report: that of an audit, and of gate 4 one for each full audit of its month.

    Raises KeyError, TypeError, AttributeError or ValueError for a report that does not name them as the schema says.
    """
    one = body.get("snapshot") or {}
    audited = [_named(f"run-{run}", one)] if one.get("manifest_sha256") and run else []
    return (*audited, *(_named(each["folder"], each) for each in body.get("snapshots") or ()))


def _named(folder: str, facts: Mapping[str, Any]) -> NamedSnapshot:
    return NamedSnapshot(
        f"snapshots/{folder}", facts["manifest_sha256"], str(facts.get("moment", "")), int(facts.get("bytes", 0))
    )
