"""The target's process on this machine: whether it lives, and how much it takes of what it may have."""

import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from gates.alerts.rules.observed import ProcessSeen
from gates.checks.processes import is_running

DISKS_EVERY_S = 5.0
SAMPLE_S = 0.5
MOST_DISKS = 20
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Sample:
    """Processor time of each thread, in seconds since it began."""

    at_s: float
    used_s: dict[int, float]


def busiest_pct(before: Sample, now: Sample, cores: int) -> float:
    """Return, in percent, what is nearer to its end: the busiest thread of its core, or all of them of all cores.

    One thread that never rests is a system that answers nobody, however many cores are idle beside it.
    """
    took_s = [used_s - before.used_s.get(thread, 0.0) for thread, used_s in now.used_s.items()]
    return 100 * max(max(took_s, default=0.0), sum(took_s) / cores) / (now.at_s - before.at_s)


class ProcessWatch:
    """Looks at one process, told apart by when it started. Processor time is averaged over `average_s`."""

    def __init__(self, pid: int, started: float, *, average_s: float, disks: Sequence[str] = ()) -> None:
        self.pid, self._started, self._average_s = pid, started, average_s
        self._paths = list(disks)[:MOST_DISKS]
        self._cpu: deque[Sample] = deque()
        self._cpu_pct: float | None = None
        self._disks: dict[str, float] = {}
        self._disks_until_s = 0.0
        self._memory_bytes: int | None = None

    def look(self) -> ProcessSeen | None:
        """Return what is seen, None where this machine does not show it."""
        alive = is_running(self.pid, self._started)
        if alive is None:
            return None
        if not alive:
            return ProcessSeen(self.pid, alive=False)
        try:
            return self._shares(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return ProcessSeen(self.pid, alive=False)
        except (psutil.Error, OSError):
            return ProcessSeen(self.pid, alive=True)

    def _shares(self, process: psutil.Process) -> ProcessSeen:
        if self._memory_bytes is None:
            self._memory_bytes = memory_limit(self.pid)
        self._look_at_threads(process)
        memory_pct = 100 * process.memory_info().rss / self._memory_bytes
        return ProcessSeen(self.pid, True, self._cpu_pct, memory_pct, self._shares_of_disks(process))

    def _look_at_threads(self, process: psutil.Process) -> None:
        """Take a sample of each thread's time, a few times in each average; many threads are many files to read."""
        now_s = time.monotonic()
        if self._cpu and now_s - self._cpu[-1].at_s < min(SAMPLE_S, self._average_s / 4):
            return
        used_s = {one.id: one.user_time + one.system_time for one in process.threads()}
        self._cpu.append(Sample(now_s, used_s))
        while len(self._cpu) > 2 and self._cpu[1].at_s <= now_s - self._average_s:
            self._cpu.popleft()
        if now_s - self._cpu[0].at_s >= self._average_s:
            self._cpu_pct = busiest_pct(self._cpu[0], self._cpu[-1], os.cpu_count() or 1)

    def _shares_of_disks(self, process: psutil.Process) -> dict[str, float]:
        now_s = time.monotonic()
        if now_s < self._disks_until_s:
            return self._disks
        self._disks_until_s = now_s + min(DISKS_EVERY_S, self._average_s)
        self._disks = {path: psutil.disk_usage(path).percent for path in self._paths or [process.cwd()]}
        return self._disks


def memory_limit(pid: int) -> int:
    """Return how many bytes the process may have: those of the machine, or of its control group where that is less."""
    total = int(psutil.virtual_memory().total)
    try:
        group = Path(f"/proc/{pid}/cgroup").read_text().strip().rpartition(":")[2].lstrip("/")
        limit = (CGROUP / group / "memory.max").read_text().strip()
        return min(total, int(limit)) if limit.isdigit() and int(limit) > 0 else total
    except (OSError, ValueError):
        return total
