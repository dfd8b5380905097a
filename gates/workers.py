"""Our own workers: who claims a slot, and whether a claimer is dead, so that its claims need not be waited for."""

import hashlib
import os
import socket
import uuid
from pathlib import Path

import psutil

from gates.checks.processes import is_running, started_ticks

NAME_LIMIT = 40


def identity() -> str:
    """Return who this process is, as a claim keeps it: host, pid, when it started, and where pids are counted."""
    host = socket.gethostname().replace(":", "-")[:NAME_LIMIT]
    return f"{host}:{os.getpid()}:{started_ticks(psutil.Process()):.2f}:{_place()}"


def is_dead(worker: str) -> bool:
    """Return whether the worker was a process of this machine and has died; of another machine nothing is known."""
    _, _, rest = worker.partition(":")
    pid, _, rest = rest.partition(":")
    started, _, place = rest.partition(":")
    if place != _place() or not pid.isdigit():
        return False
    return is_running(int(pid), float(started)) is False


def _place() -> str:
    """Name this boot of this machine and its table of processes: containers of one host count pids apart."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        table = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        boot, table = f"{uuid.getnode():x}", 0
    return hashlib.sha256(f"{boot}:{table}".encode()).hexdigest()[:8]
