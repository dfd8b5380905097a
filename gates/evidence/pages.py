"""What the pages of the evidence show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery

from gates.evidence.keys import SigningKeyError
from gates.evidence.named import snapshots_named
from gates.evidence.places import StateFolder
from gates.evidence.signing import portal_key
from gates.evidence.verifying import MANIFEST
from gates.models import Campaign, Report, Verification


@dataclass(frozen=True, slots=True)
class KeyState:
    """The key that signs now ("" before there is one), or the sentence that says why none can."""

    fingerprint: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that a report names by its hash, and whether it still is on the disk."""

    name: str
    bytes: int
    there: bool


def chain_rows() -> QuerySet[Report]:
    """Return the links, newest first, without their contents; `before` is the hash of the link before."""
    before = Subquery(Report.objects.filter(pk__lt=OuterRef("pk")).order_by("-pk").values("sha256")[:1])
    return Report.objects.defer("content").select_related("campaign__target").annotate(before=before).order_by("-pk")


def key_state() -> KeyState:
    """Look at the key without making one."""
    if not Report.objects.exists() and not (Path(settings.ENVIRONMENT.wartest_home) / "keys").exists():
        return KeyState("")
    try:
        return KeyState(portal_key().public.fingerprint)
    except SigningKeyError as error:
        return KeyState("", str(error))


def newest_look(campaign: Campaign | None) -> Verification | None:
    return Verification.objects.filter(campaign=campaign).select_related("by").first()


def kept_files(report: Report) -> list[Kept]:
    """Return what a report names by hash, as the disk now has it; a snapshot is one line."""
    state = StateFolder(Path(settings.ENVIRONMENT.wartest_home))
    snapshots = [
        Kept(one.folder, one.bytes, state.holds(f"{one.folder}/{MANIFEST}"))
        for one in snapshots_named(report.content, report.run_id)
    ]
    return snapshots + [
        Kept(one["file"], one["bytes"], state.holds(one["file"])) for one in report.content.get("evidence", ())
    ]


def link_twin(report: Report) -> dict[str, Any]:
    return {
        "report": report.pk,
        "file": report.file_name,
        "kind": report.kind,
        "campaign": report.campaign_id,
        "run": report.run_id,
        "verdict": report.verdict,
        "sha256": report.sha256,
        "previous": report.previous,
        "signed_by": report.signed_by,
        "signature": report.signature,
        "created_at": report.created_at.isoformat(),
    }


def look_twin(look: Verification | None) -> dict[str, Any] | None:
    if look is None:
        return None
    return {
        "verdict": look.verdict,
        "wrong": look.wrong,
        "unjudged": look.unjudged,
        "notes": look.notes,
        "counts": look.counts,
        "by": look.by.get_username() if look.by else None,
        "at": look.at.isoformat(),
        "took_s": look.took_s,
    }
