"""The private folder of one engine's cells: logs, sockets, and files that hold the cells' passwords.

Its name holds machine, process number and start time of who made it: what a killed one left is swept by the next. Its
maker holds a lock on it too: containers that share a folder for what is temporary count their processes apart.
"""

import fcntl
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gates.chaos.cells.processes import is_running, start_ticks

PREFIX = "wartest-chaos-"
MOST_SWEPT = 1_000


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for its owner alone, gone with the block; those that dead makers left are removed first."""
    sweep()
    pid = os.getpid()
    prefix = f"{_mine()}{pid}-{start_ticks(pid)}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as made, _locked(Path(made)):
        yield Path(made)


def sweep() -> list[Path]:
    """Remove our user's folders whose makers are dead on this machine; returns them."""
    name = re.compile(rf"{re.escape(_mine())}(\d+)-(\d+)-")
    swept = []
    for path in sorted(Path(tempfile.gettempdir()).glob(f"{_mine()}*"))[:MOST_SWEPT]:
        found = name.match(path.name)
        if found is None or path.is_symlink() or path.stat().st_uid != os.getuid():
            continue
        if not is_running(int(found[1]), int(found[2])) and not _is_locked(path):
            shutil.rmtree(path, ignore_errors=True)
            swept.append(path)
    return swept


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; the kernel lets it go with us, however we end."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _is_locked(folder: Path) -> bool:
    try:
        with _locked(folder):
            return False
    except OSError:
        return True


def _mine() -> str:
    # Short: the path of a proxy's control socket below it may have 107 bytes.
    return f"{PREFIX}{hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]}-"
