"""Starting a child process that dies with us."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from gates.targets.processes import ProcessSpec

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class CannotStartError(Exception):
    """Something needed did not start; the message is one sentence that says what to do."""


def start_child(spec: ProcessSpec, *, log: IO[bytes], cwd: Path) -> subprocess.Popen[bytes]:
    """Start `spec` in a process group of its own, its output in `log`.

    On Linux the kernel sends it `spec.stop_signal` when we die, however we die. The kernel counts the death
    of the starting *thread*, so call this from the main thread only.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(spec.stop_signal), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the line above
            os._exit(1)

    return subprocess.Popen(  # noqa: S603 - argv is ours; only prctl runs between fork and exec
        spec.argv,
        env=os.environ | spec.env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - takes no lock: two system calls
        user=spec.user,
        group=spec.user,
        extra_groups=() if spec.user else None,
    )


def stop_child(process: subprocess.Popen[bytes], stop_signal: signal.Signals, *, limit_s: float) -> None:
    """Ask, wait for `limit_s`, then kill the whole group."""
    if process.poll() is None:
        process.send_signal(stop_signal)
    end_child(process, limit_s=limit_s)


def end_child(process: subprocess.Popen[bytes], *, limit_s: float) -> None:
    """Wait for a child that was asked to stop, at most `limit_s`; then kill what is left of its group."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(limit_s)
    kill_group(process)
    process.wait(5)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the child's group, grandchildren included."""
    # All gone is fine; macOS answers EPERM for a group of zombies.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_lines(log: Path, *, count: int = 3) -> str:
    """The end of a log file in one line, for a message about a process that did not start."""
    try:
        lines = log.read_text(errors="replace")[-4000:].strip().splitlines()
    except OSError:
        return "nothing was logged"
    return " / ".join(line.strip() for line in lines[-count:]) or "nothing was logged"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, never readable by others for a moment."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
