"""A sealed snapshot as a zip, streamed file by file."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from audits.snapshot import MANIFEST, Snapshot, sealed_file
from gates.evidence.places import file_chunks
from gates.evidence.zipping import Streamed, zipped


def zipped_snapshot(snapshot: Snapshot, name: str) -> Iterator[bytes]:
    """Yield a zip of the snapshot under the folder `name`. The files are packed already, so they are only stored.

    Every file is compared with its seal before the first byte is sent; raises SnapshotUnreadable then.
    """
    paths = [snapshot.directory / MANIFEST, *(sealed_file(snapshot, relation) for relation in snapshot.relations)]
    return zipped([_stored(path) for path in paths], name, snapshot.moment)


def _stored(path: Path) -> Streamed:
    return Streamed(path.name, partial(file_chunks, path), packed=True)
