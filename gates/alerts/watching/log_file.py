"""Warnings in the target's log, counted as it grows."""

import re
from pathlib import Path

MOST_BYTES = 1024 * 1024  # read at one look; of more, the rest is left to the next looks
MOST_LINE = 300
WARNING = re.compile(rb"\b(?:WARN(?:ING)?|ERROR|CRITICAL|FATAL|SEVERE)\b", re.IGNORECASE)


class LogFile:
    """One log file, from its end at the first look on. A file that was begun anew is read from its beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._offset = 0
        self._rest = b""

    def read(self) -> tuple[int, str]:
        """Return how many lines that warn were written since the last look, and the last of them. Raises OSError."""
        with self._path.open("rb") as file:
            stat = self._path.stat()
            if self._inode is None:
                self._inode, self._offset = stat.st_ino, stat.st_size
            if stat.st_ino != self._inode or stat.st_size < self._offset:
                self._inode, self._offset, self._rest = stat.st_ino, 0, b""
            file.seek(self._offset)
            content = file.read(MOST_BYTES)
            self._offset += len(content)
        lines = (self._rest + content).split(b"\n")
        self._rest = lines.pop()[-MOST_LINE:]
        warnings = [line for line in lines if WARNING.search(line)]
        return len(warnings), warnings[-1][:MOST_LINE].decode(errors="replace") if warnings else ""
