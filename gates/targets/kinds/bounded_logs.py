"""Logs that a program appends to: never larger than a limit, however much it prints."""

import asyncio
import os
from pathlib import Path

MOST_BYTES = 64 * 2**20
PAUSE_S = 0.5
CUT = b"[here the log had grown beyond its limit and was begun anew]\n"


def cut_when_large(log: Path, most: int = MOST_BYTES) -> bool:
    """Begin a log anew that has grown beyond `most`; whoever appends to it goes on at its new end."""
    try:
        if log.stat().st_size <= most:
            return False
        os.truncate(log, 0)
        with log.open("ab") as file:
            file.write(CUT)
    except OSError:
        return False
    return True


async def keep_small(log: Path) -> None:
    """Look at a log again and again until it is cancelled."""
    while True:
        cut_when_large(log)
        await asyncio.sleep(PAUSE_S)


def last_bytes(log: Path, most: int) -> str:
    """The end of a log, "" where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - most))
            return file.read(most).decode(errors="replace")
    except OSError:
        return ""
