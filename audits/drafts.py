"""A folder that is there whole or not at all: written beside its place, brought to the disk, and moved."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drafted(directory: Path, last: str) -> Iterator[Path]:
    """Yield a hidden folder beside `directory` and move it there when the block ends; else nothing is left behind.

    `last` is the file that the block writes last; the others must have reached the disk by then.
    """
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        yield temporary
        _to_disk(temporary / last)
        _to_disk(temporary)
        temporary.chmod(0o755)
        temporary.rename(directory)
        _to_disk(directory.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _to_disk(path: Path) -> None:
    """Wait until a file's bytes, or a directory's names, would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
