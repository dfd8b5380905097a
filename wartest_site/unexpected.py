"""An error that nobody foresaw: one sentence for the person, the whole trace for who mends it, and no verdict."""

import os
import select
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime

from wartest_site.environment import load

EXIT_CODE = 2  # Python's own would be 1, which says that a target failed
READER_LEFT = 141  # as a shell says of SIGPIPE
LOG = "unexpected.log"
LONGEST = 300


def sentence_of(error: Exception) -> str:
    """Keep the trace in `WARTEST_HOME/log/unexpected.log` and return what to tell."""
    words = str(error).strip().split("\n", 1)[0][:LONGEST].rstrip(".")
    said = f"{type(error).__name__}: {words}" if words else type(error).__name__
    with suppress(Exception):  # where even that is impossible, the sentence remains
        log = load().wartest_home.resolve() / "log" / LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n{''.join(traceback.format_exception(error))}\n")
        return f"This should not have happened, and proves nothing: {said}. The whole trace is in {log}."
    return f"This should not have happened, and proves nothing: {said}."


def reader_left(error: Exception) -> bool:
    """Whether whoever read what a command prints has gone, as `head` does: what is left to say has nowhere to go.

    A broken pipe to anything else is an error as any other.
    """
    if not isinstance(error, BrokenPipeError):
        return False
    with suppress(OSError, ValueError):
        output = sys.stdout.fileno()
        watched = select.poll()
        watched.register(output, 0)
        if any(event & select.POLLERR for _, event in watched.poll(0)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # else the interpreter complains once more at its end
            return True
    return False
