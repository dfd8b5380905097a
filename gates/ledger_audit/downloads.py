"""A sealed snapshot as a zip, streamed file by file: it may be larger than memory."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from audits.snapshot import MANIFEST, Snapshot, sealed_file

CHUNK_BYTES = 1 << 20


class _Pipe(io.RawIOBase):
    """What a zip is written into; `taken` gives what came since, and forgets it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zipped(snapshot: Snapshot, name: str) -> Iterator[bytes]:
    """Yield a zip of the snapshot under the folder `name`. The files are packed already, so they are only stored.

    Every file is compared with its seal before the first byte is sent; raises SnapshotUnreadable then.
    """
    files = [snapshot.directory / MANIFEST, *(sealed_file(snapshot, relation) for relation in snapshot.relations)]
    return _zipped(files, name)


def _zipped(files: list[Path], name: str) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as packed:
        for path in files:
            with path.open("rb") as source, packed.open(f"{name}/{path.name}", "w", force_zip64=True) as copy:
                while chunk := source.read(CHUNK_BYTES):
                    copy.write(chunk)
                    yield pipe.taken()
    yield pipe.taken()
