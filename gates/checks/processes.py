"""Telling processes of this machine apart, whatever happens to its clock."""

from pathlib import Path

import psutil


def started_ticks(process: psutil.Process) -> float:
    """Return when the process started, in ticks since the machine did: two looks at one process never differ.

    `create_time` would: it is counted from a boot time that moves when the machine's clock is corrected. Where the
    kernel does not tell ticks, it is returned all the same. Raises psutil.Error when the process is gone.
    """
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return float(fields[19])  # field 22 of proc(5), counted after the name in brackets
    except (OSError, IndexError, ValueError):
        return process.create_time()


def is_running(pid: int, started: float) -> bool | None:
    """Return whether the process that has this pid started then and lives; None when it cannot be seen from here."""
    try:
        process = psutil.Process(pid)
        return started_ticks(process) == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return None
