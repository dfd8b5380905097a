"""Processes of this machine, told apart by number and start time, killed by pidfd and seen to be dead."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import psutil

from gates.chaos.cells.processes import NotOursError, is_running, start_ticks
from gates.targets.kinds.control import ControlError, Killed, Running

DEATH_LIMIT_S = 10.0
PAUSE_S = 0.02


def seen(name: str, pid: int, caution: str = "") -> Running | None:
    """The process of a number, None when there is none."""
    try:
        started = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC)
    except psutil.Error:
        return None
    return Running(name, pid, started, caution)


def kill_tree(name: str, pid: int) -> Killed:
    """SIGKILL a process and its descendants: it first, so that it can start nothing new. Raises ControlError."""
    began = time.monotonic()
    try:
        ticks, process = start_ticks(pid), psutil.Process(pid)
        children = process.children(recursive=True)
        descriptor = os.pidfd_open(pid)
    except (NotOursError, psutil.Error, OSError):
        raise ControlError(f"Process {pid} of {name} is gone: there is nothing to kill.") from None
    try:
        if start_ticks(pid) != ticks:
            raise ControlError(f"Process {pid} is another one now: it is not killed.")
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        for child in children:
            with suppress(psutil.Error):  # psutil compares the start time before it signals
                child.kill()
    except PermissionError:
        raise ControlError(f"Process {pid} of {name} is another user's: run the portal as one that may.") from None
    finally:
        os.close(descriptor)
    wait_until(lambda: not is_running(pid, ticks), DEATH_LIMIT_S, f"Process {pid} of {name} did not die")
    return Killed(name, pid, round(time.monotonic() - began, 3), exact=True, words=f"SIGKILL to {1 + len(children)}")


def wait_until(condition: Callable[[], bool], limit_s: float, words: str) -> None:
    """Wait for a condition. Raises ControlError, which begins with `words`."""
    ends = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > ends:
            raise ControlError(f"{words} within {limit_s:g} s.")
        time.sleep(PAUSE_S)
