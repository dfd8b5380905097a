"""Our own workers: who claims a slot, and whether a claimer is dead, so that its claims need not be waited for."""

import hashlib
import os
import socket
import uuid
from pathlib import Path

import psutil

from gates.checks.processes import is_running, started_ticks

NAME_LIMIT = 40
OF_NO_CONTAINER = 0xEFFFFFFC  # the number of the first table of processes (PROC_PID_INIT_INO of the kernel)


def identity() -> str:
    """Return who this process is, as a claim keeps it: host, pid, when it started, and where pids are counted."""
    host = socket.gethostname().replace(":", "-")[:NAME_LIMIT]
    return f"{host}:{os.getpid()}:{started_ticks(psutil.Process()):.2f}:{place()}"


def is_dead(worker: str) -> bool:
    """Return whether the worker was a process of this machine and has died; of another machine nothing is known."""
    _, _, rest = worker.partition(":")
    pid, _, rest = rest.partition(":")
    started, _, where = rest.partition(":")
    if where != place() or not pid.isdigit():
        return is_over(where)
    return is_running(int(pid), float(started)) is False


def is_here(worker: str) -> bool:
    """Return whether it can be seen from here what became of the worker, and of what it had started."""
    where = worker.rpartition(":")[2]
    return where == place() or is_over(where)


def place() -> str:
    """Name where processes are counted as here: 6 letters for the machine and its table of processes, 6 for its boot.

    Containers of one host count apart.
    """
    boot, table = _counted()
    return _short(f"{socket.gethostname()}:{_machine_id()}:{table}") + _short(boot)


def is_over(where: str) -> bool:
    """Return whether a place is an earlier boot of this machine. Of containers, which may look alike, it never is."""
    mine = place()
    known = bool(_machine_id()) and _counted()[1] == OF_NO_CONTAINER
    return known and len(where) == len(mine) and where[:6] == mine[:6] and where != mine


def _counted() -> tuple[str, int]:
    """This boot, and the number of the table of processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return f"{uuid.getnode():x}", 0


def _machine_id() -> str:
    """What tells this installation from any other of the same name (machine-id(5)); empty where it has none."""
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return ""


def _short(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()[:6]
