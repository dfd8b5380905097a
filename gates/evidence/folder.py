"""A folder of reports, and the signed index in it that says which reports belong there."""

import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from gates.evidence.files import rendered, write_json, write_whole
from gates.evidence.index import FOLDER, Contents, FileEntry, Index, IndexUnreadableError, read_index, written_index
from gates.evidence.keys import SigningKey, SigningKeyError, public_keys
from gates.evidence.links import links
from gates.evidence.places import INDEX
from gates.evidence.sealing import hash_of, signed_part
from gates.evidence.signing import portal_key
from gates.models import Report
from gates.report_fields import utc

log = logging.getLogger(__name__)

INDEX_LOCK = 7_731_003  # one index at a time: two that are written at once would each miss the other's report
MOST_CAUGHT_UP = 1000  # reports written into a folder that lacks them, at a time


def write_file(report: Report, folder: Path) -> Path:
    """Write the report into the folder, whole or not at all, and renew the folder's index. Returns the report's path.

    The portal's own folder holds every report, so what is missing there is written too. Without the signing key the
    report is written and the index is left as it is.
    """
    path = write_json(report.content, folder / report.file_name)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (INDEX_LOCK,))
            _renew(folder, portal_key(), {report.sha256: _entry(path.name, report)})
    except SigningKeyError as error:
        log.warning("%s is not renewed: %s", folder / INDEX, error)
    return path


def _renew(folder: Path, key: SigningKey, new: dict[str, tuple[str, FileEntry]]) -> None:
    """Write the index as of the newest report of the chain."""
    held = _held(folder) | new
    for report in _lacking(folder, held):
        held[report.sha256] = _entry(write_json(report.content, folder / report.file_name).name, report)
    contents = Contents(
        of=FOLDER,
        campaign=None,
        made_at=utc(Report.objects.order_by("-pk").values_list("created_at", flat=True)[0]),
        keys=public_keys(Path(settings.ENVIRONMENT.wartest_home)),
        links=links({sha256: name for sha256, (name, _) in held.items()}),
        files=dict(held.values()),
    )
    write_whole(folder / INDEX, written_index(contents, key))


def _held(folder: Path) -> dict[str, tuple[str, FileEntry]]:
    """Return what the folder's index says it holds; an index that this portal did not sign says nothing."""
    index = _own_index(folder)
    if index is None:
        return {}
    return {
        link.sha256: (link.file, index.files[link.file])
        for link in index.links
        if link.file is not None and link.file in index.files
    }


def _own_index(folder: Path) -> Index | None:
    try:
        index = read_index((folder / INDEX).read_bytes())
    except (OSError, IndexUnreadableError):
        return None
    own = {key.fingerprint: key for key in public_keys(Path(settings.ENVIRONMENT.wartest_home))}
    key, seal = own.get(index.seal["signed_by"]), index.seal
    whole = (
        key is not None and hash_of(index.body) == seal["sha256"] and key.verifies(seal["signature"], signed_part(seal))
    )
    return index if whole else None


def _lacking(folder: Path, held: dict[str, tuple[str, FileEntry]]) -> Iterator[Report]:
    """Yield what must be written there too: everything in the portal's own folder, changes of the key in any other."""
    rows = Report.objects.exclude(sha256__in=held).order_by("pk")
    if folder.resolve() != Path(settings.ENVIRONMENT.reports_dir).resolve():
        rows = rows.filter(kind=Report.ROTATION)
    return rows[:MOST_CAUGHT_UP].iterator(chunk_size=10)


def _entry(name: str, report: Report) -> tuple[str, FileEntry]:
    """Return the file's name and what it must be: never measured from the disk, where anybody may have changed it."""
    content = rendered(report.content)
    return name, FileEntry(sha256(content).hexdigest(), len(content))
