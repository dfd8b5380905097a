"""All that a process of ours has started, held so that no other is ever signalled.

It is found by who its parent is, and by a mark in the environment that it was started with: a daemon leaves its parent,
and a program that empties the environment of another does not.
"""

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress

MOST = 1_000
MARK = "WARTEST_STARTED_AS"
MOST_BYTES, STAT_BYTES = 512 * 1024, 1024  # of an environment, and of what the kernel says of a process
PARENT, STARTED = 1, 19  # of the fields of /proc/PID/stat behind the name (proc(5), fields 4 and 22)
Known = tuple[int, int]
"""The number of a process and when it was started, which together name one process only."""


class Family:
    """Processes that a process has started and that live, each held by a pidfd; `close` gives those back."""

    def __init__(self, members: Iterable[Known]) -> None:
        self._pidfds = list(_held(members))

    def __bool__(self) -> bool:
        return bool(self._pidfds)

    def send(self, wanted: signal.Signals) -> None:
        """Send it to each that we may signal."""
        for pidfd in self._pidfds:
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(pidfd, wanted)

    async def end(self, limit_s: float, wanted: signal.Signals = signal.SIGKILL) -> None:
        """Send it to each and wait until it is dead. Raises TimeoutError."""
        self.send(wanted)
        async with asyncio.timeout(limit_s):
            for pidfd in self._pidfds:
                await dead(pidfd)

    def close(self) -> None:
        """Give the descriptors back."""
        while self._pidfds:
            os.close(self._pidfds.pop())


async def dead(pidfd: int) -> None:
    """Wait until the process of this descriptor is dead."""
    loop = asyncio.get_running_loop()
    seen = asyncio.Event()
    loop.add_reader(pidfd, seen.set)
    try:
        await seen.wait()
    finally:
        loop.remove_reader(pidfd)


def family_of(root: Known, mark: str) -> list[Known]:
    """What lives of all that it has started: its descendants, and what carries its mark.

    The number of one that is gone may be another's by now, whose children are not of the family.
    """
    children: defaultdict[int, list[Known]] = defaultdict(list)
    found: list[Known] = []
    for name in os.listdir("/proc"):  # noqa: PTH208  a Path for each costs more than the rest
        if name.isdigit() and (stat := _stat(int(name))):
            known = int(name), int(stat[STARTED])
            if known[1] >= root[1] and known != root:  # nobody is older than who has started it
                children[int(stat[PARENT])].append(known)
                if f"{MARK}={mark}".encode() in _read(f"/proc/{name}/environ", MOST_BYTES).split(b"\0"):
                    found.append(known)
    if not (stat := _stat(root[0])) or int(stat[STARTED]) == root[1]:
        found += children[root[0]]
    for pid, _ in found:
        if len(found) < MOST:
            found += children[pid]
    return list(dict.fromkeys(found))


def _held(members: Iterable[Known]) -> Iterator[int]:
    """A descriptor of each, which is the same process still that was found."""
    for pid, started in members:
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            if (stat := _stat(pid)) and int(stat[STARTED]) == started:
                yield pidfd
            else:
                os.close(pidfd)


def _stat(pid: int) -> list[bytes]:
    return _read(f"/proc/{pid}/stat", STAT_BYTES).rpartition(b")")[2].split()


def _read(path: str, most: int) -> bytes:
    """What the kernel says of a process; nothing of one that is gone or not ours to see."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, most)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
