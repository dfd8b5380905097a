"""The journal: everything that happened to the venue as one JSON line each, written before it takes effect.

The state machine is deterministic, so playing the lines again gives the same accounts to the last digit.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """`folder`/journal.jsonl, held by one broker at a time.

    A line is handed to the operating system before it takes effect: a killed broker loses nothing, a machine without
    power may lose its last lines. Raises OSError where the file cannot be written or another broker holds it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "journal.jsonl").open("a+b", buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What happened so far, oldest first. Half a line at the end, cut off by a kill, is removed."""
        self._file.seek(0)
        whole = 0
        with os.fdopen(os.dup(self._file.fileno()), "rb") as reader:
            for line in reader:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield json.loads(line)
        self._file.truncate(whole)

    def append(self, event: dict[str, Any]) -> None:
        self._file.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")
