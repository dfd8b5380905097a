"""Verify now: the portal's own look at its evidence, bounded, kept as a row with the time and who asked."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from gates.evidence.chain import Rotation, judge_chain, rotation_of
from gates.evidence.index import IndexUnreadableError, Link, read_index
from gates.evidence.judgement import Judgement, first_of
from gates.evidence.keys import public_keys
from gates.evidence.links import links
from gates.evidence.places import INDEX, FileUnreadableError, NoEvidenceError, Place, StateFolder, open_place
from gates.evidence.reading import bytes_of
from gates.evidence.sealing import hash_of
from gates.evidence.tree import campaign_tree
from gates.evidence.verifying import Known, verify
from gates.models import Campaign, Report, Verification

LIMIT_S = 20.0
JUST_WRITTEN = timedelta(minutes=1)  # between a report's row and its file: both are there by then, or never will be
LOOK_LOCK = 7_731_004  # one look at a time: it reads all that it looks at


class LookGoingOnError(Exception):
    """Another look is going on; the message says to wait for it."""


def look(campaign: Campaign | None, *, by: User | None, now: datetime) -> Verification:
    """Verify a campaign's evidence, or the whole chain and the folder of reports, and keep what was found.

    Raises LookGoingOnError, SigningKeyError.
    """
    began = time.monotonic()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (LOOK_LOCK,))
        if not cursor.fetchone()[0]:
            raise LookGoingOnError("A look at the evidence is going on: wait for its result.")
        home = Path(settings.ENVIRONMENT.wartest_home)
        own = {key.fingerprint: key for key in public_keys(home)}
        known = Known(frozenset(own), own, StateFolder(home), until=began + LIMIT_S)
        found = _everything(known, now) if campaign is None else verify(campaign_tree(campaign, now), known)
        return Verification.objects.create(
            campaign=campaign,
            verdict=found.verdict,
            wrong=first_of(found.wrong),
            unjudged=first_of(found.unjudged),
            notes=first_of(found.notes),
            counts=found.counts,
            by=by,
            at=now,
            took_s=round(time.monotonic() - began, 3),
        )


def _everything(known: Known, now: datetime) -> Judgement:
    """Judge the chain and every report in the database, then the folder of reports on the disk."""
    chain = links({})
    found = judge_chain(chain, known.keys, _rotations(chain))
    for pk, link in zip(Report.objects.order_by("pk").values_list("pk", flat=True), chain, strict=False):
        if known.until is not None and time.monotonic() > known.until:
            found.unjudged.append("The time limit was over before every report was looked at.")
            break
        body = Report.objects.values_list("content", flat=True).get(pk=pk)
        found.count("reports")
        if hash_of(body) != link.sha256 or not link.is_of(body):
            found.wrong.append(f"{link.name} has changed in the database: it is not what was sealed.")
    return _with_folder(found, known, now)


def _with_folder(found: Judgement, known: Known, now: datetime) -> Judgement:
    if not Report.objects.exists():
        return found
    try:
        place = open_place(Path(settings.ENVIRONMENT.reports_dir))
        there = verify(place, known)
    except NoEvidenceError as error:
        found.wrong.append(f"The folder of reports: {error}")
        return found
    found.wrong += [f"In the folder of reports: {sentence}" for sentence in (*there.wrong, *_unlisted(place, now))]
    found.unjudged += [f"In the folder of reports: {sentence}" for sentence in there.unjudged]
    for what in ("snapshots", "kept files", "files"):
        found.count(what, there.counts.get(what, 0))
    return found


def _unlisted(place: Place, now: datetime) -> Iterator[str]:
    """Name the reports of the chain that the folder's list leaves out: an older list of the portal is genuine too."""
    try:
        index = read_index(bytes_of(place, INDEX)) if INDEX in place.names else None
    except (IndexUnreadableError, FileUnreadableError):
        return  # the verification has said so
    if index is None:
        yield f"{INDEX} is missing: it was removed."
    listed = {link.sha256 for link in index.links if link.file is not None} if index else set()
    due = Report.objects.filter(created_at__lt=now - JUST_WRITTEN).exclude(sha256__in=listed).order_by("pk")
    for name in due.values_list("file_name", flat=True):
        if name not in place.names:
            yield f"{name} is missing: it was removed."
        elif index is not None:
            yield f"{name} is not listed in {INDEX}: an older list was put in its place."


def _rotations(chain: tuple[Link, ...]) -> list[Rotation]:
    bodies = dict(Report.objects.filter(kind=Report.ROTATION).values_list("sha256", "content"))
    found = (rotation_of(link, bodies[link.sha256]) for link in chain if link.sha256 in bodies)
    return [rotation for rotation in found if rotation]
