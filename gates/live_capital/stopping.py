"""Stop: the portal says it, and where the target's description has a stop command, a person may run it from here.

The command is the target's own, started without a shell, bounded in time, and with nothing of ours in its environment:
neither a token nor an address of the portal's.
"""

import contextlib
import logging
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from gates.live_capital.reaching import stop_command
from gates.models import Run, RunEvent

log = logging.getLogger(__name__)

LIMIT_S = 30.0
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")
ROOT = Path(__file__).parents[2]
MOST_WORDS = 500


class CannotStopError(Exception):
    """There is nothing to run; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """How the command ended: its exit code, None where it did not start or did not end in time, in words."""

    code: int | None
    sentence: str


def stop_target(run: Run, *, by: User, reason: str, now: datetime) -> Stopped:
    """Run the target's stop command, because of a person's decision.

    1. Write down who and why: a person's hand, which fails the run. It stays even if the command never returns.
    2. Run the words, and write down how they ended.

    Raises CannotStopError, TargetUnreachableError; then nothing was run.
    """
    argv = stop_command(run.campaign.target.spec)
    reason = reason.strip()[:MOST_WORDS]
    if not argv:
        raise CannotStopError("The target's description has no stop command: stop it where it runs.")
    if not reason:
        raise CannotStopError("Say why the target is stopped: it stays in the run's log.")
    words = f"{by.get_username()} ran the target's stop command: {reason}"
    _note(run, RunEvent.Kind.INTERVENTION, words, now)
    stopped = run_words(argv)
    _note(run, RunEvent.Kind.STOP, stopped.sentence, timezone.now())
    return stopped


def run_words(argv: tuple[str, ...], *, limit_s: float = LIMIT_S) -> Stopped:
    """Run the words without a shell; what they print is not kept, since it may hold secrets."""
    began = time.monotonic()
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(  # noqa: S603  the target's own words, which only an administrator can describe
            argv, cwd=ROOT, env=environment, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
    except OSError as error:
        return Stopped(None, f"The stop command could not be started: {error.strerror or error}.")
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Stopped(None, f"The stop command did not end within {limit_s:g} s and was killed: look at the target.")
    took_s = time.monotonic() - began
    how = "The target was told to stop" if code == 0 else f"The stop command failed with exit code {code}"
    return Stopped(code, f"{how}, in {took_s:.1f} s.")


def _note(run: Run, kind: str, sentence: str, at: datetime) -> None:
    RunEvent.objects.create(run=run, at=at, kind=kind, level="critical", sentence=sentence)
    Run.objects.filter(pk=run.pk).update(cursor=F("cursor") + 1)
