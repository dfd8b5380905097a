"""Processes that a cell has started, and the only ones it ever signals."""

import asyncio
import ctypes
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gates.chaos.cells.families import MARK, Family, Known, dead, family_of

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
DEATH_LIMIT_S = 10.0
NOBODY = -1
ENDED = ("Z", "X", "x")


class NotOursError(Exception):
    """The process of this number is not the one that was started; it is not signalled."""


@dataclass(frozen=True, slots=True)
class Death:
    """The receipt of a kill: which process, by which signal, how long its death took, with what status it ended."""

    pid: int
    started_ticks: int
    signal: str
    returncode: int
    took_ms: float

    @property
    def by_us(self) -> bool:
        """Whether it died of that signal, not of something before."""
        return self.returncode == -signal.Signals[self.signal]

    def shape(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class OwnedProcess:
    """A child in a process group of its own, held by a pidfd; the kernel kills it when we die.

    All that it starts carries its `mark`.
    """

    def __init__(self, popen: subprocess.Popen[bytes], mark: str) -> None:
        self._popen = popen
        self.mark = mark
        self._pidfd = os.pidfd_open(popen.pid)
        self.pid = popen.pid
        self.started_ticks = start_ticks(popen.pid)

    @classmethod
    def start(cls, argv: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: str | None = None) -> "OwnedProcess":
        """Start it with this environment and its mark, its output appended to `log`. Raises OSError.

        Call it from the main thread only: the kernel counts the death of the starting thread.
        """
        mark = secrets.token_hex(8)
        with log.open("ab") as output:
            popen = subprocess.Popen(  # noqa: S603  the target's own command
                list(argv),
                env=dict(env) | {MARK: mark},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=dying_with_us(signal.SIGKILL),  # noqa: PLW1509  takes no lock: two system calls
            )
        return cls(popen, mark)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    async def kill(self) -> Death:
        """SIGKILL the process and all that it has started, and wait until they are dead.

        All stand still before the first dies: none sees another's death, and none can tell of it or act on it.
        Raises NotOursError, TimeoutError.
        """
        return await self._end(signal.SIGKILL, DEATH_LIMIT_S)

    async def end(self, limit_s: float) -> Death:
        """Ask it to end (SIGTERM), and kill it after `limit_s`."""
        with suppress(TimeoutError):
            return await self._end(signal.SIGTERM, limit_s)
        return await self.kill()

    def close(self) -> None:
        """Give the descriptor back; a process that still runs is killed."""
        if self._pidfd < 0:
            return
        if self.alive:
            self._signal(signal.SIGKILL)
            self._popen.wait(DEATH_LIMIT_S)
        os.close(self._pidfd)
        self._pidfd = -1

    async def _end(self, wanted: signal.Signals, limit_s: float) -> Death:
        began = time.perf_counter()
        if self._popen.returncode is None:
            family = Family(self.family())
            try:
                if wanted is signal.SIGKILL:
                    self._signal(signal.SIGSTOP)
                    family.send(signal.SIGSTOP)
                    family.send(signal.SIGKILL)
                self._signal(wanted)
                async with asyncio.timeout(limit_s):
                    await dead(self._pidfd)
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)  # the unreaped leader keeps the group's number ours
                await family.end(DEATH_LIMIT_S)
            finally:
                family.close()
        await self._end_late_born()
        self._popen.wait(DEATH_LIMIT_S)
        took_ms = round((time.perf_counter() - began) * 1000, 3)
        return Death(self.pid, self.started_ticks, wanted.name, int(self._popen.returncode or 0), took_ms)

    def family(self) -> list[Known]:
        """What lives of all that it has started."""
        return family_of((self.pid, self.started_ticks), self.mark)

    async def _end_late_born(self) -> None:
        """Kill what was started while the others died. Raises TimeoutError where that does not end."""
        async with asyncio.timeout(DEATH_LIMIT_S):
            while family := Family(self.family()):
                try:
                    await family.end(DEATH_LIMIT_S)
                finally:
                    family.close()

    def _signal(self, wanted: signal.Signals) -> None:
        """By pidfd, after comparing the start time: a number given to another process is never struck."""
        if start_ticks(self.pid) != self.started_ticks:
            raise NotOursError(f"Process {self.pid} is not the one the cell started: it is not signalled.")
        signal.pidfd_send_signal(self._pidfd, wanted)


def dying_with_us(wanted: signal.Signals) -> Callable[[], None]:
    """What a child does before it becomes its program, so that the kernel sends it `wanted` when we die.

    Start the child from the main thread only: the kernel counts the death of the starting thread.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(wanted), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)

    return die_with_parent


async def end_marked(mark: str, *, limit_s: float) -> None:
    """End a program whose owner is dead, known by its mark alone: ask whom it began with, then kill all of the mark.

    The oldest is the one that the others were started by, as long as it lives. Raises TimeoutError, OSError.
    """
    marked = family_of((NOBODY, 0), mark) if mark else []
    oldest = Family(sorted(marked, key=lambda known: known[1])[:1])
    try:
        with suppress(TimeoutError):
            await oldest.end(limit_s, signal.SIGTERM)
    finally:
        oldest.close()
    await end_all((NOBODY, 0), mark)


async def end_all(root: Known, mark: str) -> None:
    """SIGKILL a process whose owner is dead, and all that it has started, and wait until they are.

    Raises TimeoutError, OSError.
    """
    async with asyncio.timeout(DEATH_LIMIT_S):
        while family := Family(_left_of(root, mark)):
            try:
                await family.end(DEATH_LIMIT_S)
            finally:
                family.close()


def _left_of(root: Known, mark: str) -> list[Known]:
    """What lives of a process and its family. Of one that is gone only what is marked: its number may be another's."""
    if is_running(*root):
        return [root, *family_of(root, mark)]
    return family_of((NOBODY, root[1]), mark) if mark else []


def start_ticks(pid: int) -> int:
    """When a process was started, in clock ticks since boot (proc(5), field 22). Raises NotOursError for none."""
    return int(_stat(pid)[19])


def is_running(pid: int, started_ticks: int) -> bool:
    """Whether the process of this number and start time runs; one that is dead and not yet waited for does not."""
    try:
        stat = _stat(pid)
    except NotOursError:
        return False
    return int(stat[19]) == started_ticks and stat[0] not in ENDED


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process after its name (proc(5), from field 3 on). Raises NotOursError for none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError as error:
        raise NotOursError(f"Process {pid} is gone.") from error
    return stat.rpartition(")")[2].split()
