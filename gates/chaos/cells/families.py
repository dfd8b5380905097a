"""All that a process of ours has started: found by who its parent is, and held so that no other is ever signalled."""

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

MOST = 1_000
PARENT, STARTED = 1, 19  # of the fields of /proc/PID/stat behind the name (proc(5), fields 4 and 22)
Known = tuple[int, int]
"""The number of a process and when it was started, which together name one process only."""


class Family:
    """The descendants of a process, each held by a pidfd; `close` gives those back.

    They need not be in its group: supervisors give each child a group of its own. One that has left its parent, as a
    daemon does, is nobody's descendant any more.
    """

    def __init__(self, root: int) -> None:
        self._pidfds = list(_held(root))

    def kill(self) -> None:
        """SIGKILL each."""
        for pidfd in self._pidfds:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    async def gone(self, limit_s: float) -> None:
        """Wait until each is dead. Raises TimeoutError."""
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


def descendants(root: int) -> list[Known]:
    """Each descendant that lives."""
    children: defaultdict[int, list[Known]] = defaultdict(list)
    for name in os.listdir("/proc"):  # noqa: PTH208  a Path for each costs more than the rest
        if name.isdigit() and (stat := _stat(int(name))):
            children[int(stat[PARENT])].append((int(name), int(stat[STARTED])))
    found = list(children[root])
    for pid, _ in found:
        if len(found) < MOST:
            found += children[pid]
    return found


def _held(root: int) -> Iterator[int]:
    """A descriptor of each descendant, which is the same process still that was found."""
    for pid, started in descendants(root):
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            if (stat := _stat(pid)) and int(stat[STARTED]) == started:
                yield pidfd
            else:
                os.close(pidfd)


def _stat(pid: int) -> list[bytes]:
    """What the kernel says of a process behind its name; nothing of one that is gone. Read at one go: it is cheap."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return []
    try:
        return os.read(descriptor, 1024).rpartition(b")")[2].split()
    except ProcessLookupError:
        return []
    finally:
        os.close(descriptor)
