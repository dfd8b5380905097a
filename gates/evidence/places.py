"""Where evidence lies: a folder, or a zip that is read in place and never unpacked. What plays tricks is refused."""

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

INDEX = "evidence.json"
KEPT = ("snapshots", "evidence")  # the folders of a portal's state that are evidence, under the same names
MOST_FILES = 20_000
MOST_BYTES = 64 * 2**30
MOST_RATIO = 200  # evidence is text and Parquet: nothing in it shrinks so far
RATIO_FROM_BYTES = 2**20
CHUNK_BYTES = 2**20
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


class NoEvidenceError(Exception):
    """A path holds no evidence, or plays tricks; the message says which, and nothing was judged."""


class FileUnreadableError(Exception):
    """One file of the evidence cannot be read; the message says why, without a full stop."""


class Readable(Protocol):
    """What gives a file's bytes by its name, relative and with `/`."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the file's bytes. Raises FileUnreadableError."""
        ...


class Place(Readable, Protocol):
    """Files by their names."""

    names: frozenset[str]
    odd: tuple[str, ...]  # names of what is no plain file


class FolderPlace:
    """The files of a folder; a link is none, wherever it leads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found: list[str] = []
        odd: list[str] = []
        for path, kind in _walked(folder):
            (found if stat.S_ISREG(kind) else odd).append(path)
            if len(found) + len(odd) > MOST_FILES:
                raise NoEvidenceError(f"{folder} holds more than {MOST_FILES:,} files: no evidence has so many.")
        self.names = frozenset(found)
        self.odd = tuple(odd)

    def chunks(self, name: str) -> Iterator[bytes]:
        yield from file_chunks(self._folder / name)


class StateFolder:
    """What a portal keeps of its evidence: `snapshots/…` and `evidence/…` of its state folder, and nothing else."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def holds(self, name: str) -> bool:
        parts = name.split("/")
        path = self._home / name
        return parts[0] in KEPT and ".." not in parts and path.is_file() and not path.is_symlink()

    def size(self, name: str) -> int:
        return (self._home / name).stat().st_size

    def chunks(self, name: str) -> Iterator[bytes]:
        yield from file_chunks(self._home / name)


class ZipPlace:
    """The files of a zip, without the one folder that they may all be in."""

    odd: tuple[str, ...] = ()

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        entries = [entry for entry in packed.infolist() if not entry.is_dir()]
        _refuse_tricks(entries)
        top = _shared_top([entry.filename for entry in entries])
        self._entries = {entry.filename.removeprefix(top): entry for entry in entries}
        self.names = frozenset(self._entries)

    def chunks(self, name: str) -> Iterator[bytes]:
        try:
            with self._packed.open(self._entries[name]) as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise FileUnreadableError(f"it cannot be unpacked: {error}") from error


def file_chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise FileUnreadableError(f"it cannot be read: {error.strerror}") from error


def open_place(path: Path) -> Place:
    """Return the place of a path. Raises NoEvidenceError.

    A folder that only holds another one with the evidence in it (as a zip unpacks) stands for that one.
    """
    try:
        if path.is_dir():
            return FolderPlace(_inner(path))
        if path.is_file():
            return ZipPlace(zipfile.ZipFile(path))
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        words = str(error).rstrip(".").lower() or type(error).__name__
        raise NoEvidenceError(f"{path} is no folder and no whole zip ({words}): download it again.") from error
    except OSError as error:
        raise NoEvidenceError(f"{path} cannot be read: {error.strerror or error}.") from error
    raise NoEvidenceError(f"There is no {path}: name a folder of reports, or a downloaded zip or its folder.")


def _inner(folder: Path) -> Path:
    if (folder / INDEX).exists():
        return folder
    inside = list(folder.iterdir())[:2]
    alone = len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() and (inside[0] / INDEX).exists()
    return inside[0] if alone else folder


def _walked(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield (relative name, mode) of everything in the folder but folders, following no link."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                name = f"{inside}/{entry.name}" if inside else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                else:
                    yield name, entry.stat(follow_symlinks=False).st_mode


def _refuse_tricks(entries: list[zipfile.ZipInfo]) -> None:
    """Raise NoEvidenceError for what no zip of ours has: paths that lead elsewhere, links, doubles, bombs."""
    if len(entries) > MOST_FILES:
        raise NoEvidenceError(f"The zip holds more than {MOST_FILES:,} files: no evidence has so many.")
    if sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise NoEvidenceError("The zip unpacks to more than 64 GiB: unpack it yourself and name the folder.")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        if reason := _trick(entry):
            raise NoEvidenceError(f"The zip is refused: {name[:200]!r} {reason}.")
        if name.casefold() in seen:
            raise NoEvidenceError(f"The zip is refused: it holds {name[:200]!r} twice.")
        seen.add(name.casefold())


def _trick(entry: zipfile.ZipInfo) -> str:
    name, mode = entry.filename, entry.external_attr >> 16
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or name[1:2] == ":" or not all(parts) or {".", ".."} & set(parts):
        return "leads out of its folder"
    if entry.orig_filename != name or not name.isprintable():
        return "has a name with hidden characters"
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        return "is a link or a device, not a file"
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _PACKED:
        return "is encrypted or packed in a way that evidence is not"
    if entry.file_size > RATIO_FROM_BYTES and entry.file_size > MOST_RATIO * max(1, entry.compress_size):
        return f"unpacks to more than {MOST_RATIO} times its size"
    return ""


def _shared_top(names: list[str]) -> str:
    """Return the folder that holds the index where all files are in it, else nothing."""
    if INDEX in names:
        return ""
    tops = {name.split("/", 1)[0] for name in names}
    top = f"{tops.pop()}/" if len(tops) == 1 else ""
    return top if f"{top}{INDEX}" in names else ""
