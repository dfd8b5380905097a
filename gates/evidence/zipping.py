"""A zip that is streamed file by file: it may be larger than memory."""

import io
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

PLAIN_FILE = (stat.S_IFREG | 0o644) << 16


@dataclass(frozen=True, slots=True)
class Streamed:
    """A file of the zip: its name, its bytes when they are asked for, and whether packing it would gain nothing."""

    name: str
    chunks: Callable[[], Iterator[bytes]]
    packed: bool = False


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


def zipped(files: Iterable[Streamed], folder: str, at: datetime) -> Iterator[bytes]:
    """Yield a zip of the files under one folder, each dated `at`, or 1980, before which no zip can say.

    What a file's reading raises ends it before its end: it is refused by whoever opens it, since a zip's list of files
    comes last.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in files:
            entry = zipfile.ZipInfo(f"{folder}/{file.name}", (max(1980, at.year), *at.timetuple()[1:6]))
            entry.external_attr = PLAIN_FILE
            entry.compress_type = zipfile.ZIP_STORED if file.packed else zipfile.ZIP_DEFLATED
            with packed.open(entry, "w", force_zip64=True) as copy:
                for chunk in file.chunks():
                    copy.write(chunk)
                    yield pipe.taken()
    yield pipe.taken()
