"""Commands of a description, run without a shell and within limits: of time, of what they print, of what they see."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

MOST_BYTES = 64 * 1024
CHUNK = 64 * 1024
# What a program of a target's description may see of our own environment: nothing secret.
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its exit code, None where it did not start or end in time; what it printed; in words."""

    code: int | None
    printed: str
    words: str


def passed_on() -> dict[str, str]:
    """Return the part of our environment that programs of a description are given."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def run_bounded(argv: Sequence[str], limit_s: float) -> Ran:
    """Run the words; what they print beyond 64 KiB is thrown away, and after `limit_s` their group is killed."""
    try:
        process = subprocess.Popen(  # noqa: S603  the words of the target's description, which no page can change
            list(argv),
            env=passed_on(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return Ran(None, "", f"{argv[0]} could not be started: {error.strerror}")
    with process:
        try:
            printed, ended = _read(process, time.monotonic() + limit_s)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # the unreaped leader keeps the group's number ours
    text = printed.decode(errors="replace")
    if not ended:
        return Ran(None, text, f"{argv[0]} did not end within {limit_s:g} s and was killed")
    return Ran(process.returncode, text, f"{argv[0]} ended with exit code {process.returncode}")


def _read(process: "subprocess.Popen[bytes]", ends: float) -> tuple[bytes, bool]:
    """Read until the leader ends; what it forked away may hold the pipe open for as long as it likes."""
    assert process.stdout is not None  # noqa: S101  PIPE was asked for
    os.set_blocking(process.stdout.fileno(), False)
    kept, is_open = b"", True
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < ends:
            if not is_open:
                time.sleep(0.01)
            elif selector.select(0.05):
                part = process.stdout.read(CHUNK)
                is_open = part != b""
                kept += (part or b"")[: MOST_BYTES - len(kept)]
                continue
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return kept, True
    return kept, False
