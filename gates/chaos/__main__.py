"""The engine's process.

`python -m gates.chaos RUN` is started by a tick and works on that run; `python -m gates.chaos --any` stands on another
machine and works on whatever run is open. Any number of them may work on the same run.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

import django

CANNOT_START = 2


def main(words: Sequence[str]) -> int:
    """Work on a run until nothing of it is left, or on all until told. Returns 2 with one sentence where it cannot."""
    asked = _read(words)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    django.setup()
    from django.db import DatabaseError  # noqa: PLC0415  settings must be ready first

    from gates.chaos.engine import helping, running  # noqa: PLC0415
    from gates.models import ChaosRun  # noqa: PLC0415

    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        known = ChaosRun.objects.filter(run_id=asked.run).exists()
    except DatabaseError as error:
        reason = str(error).strip().splitlines()[0]
        return _refused(f"The portal's database cannot be used ({reason}): give its address in DATABASE_URL.")
    if not (known or asked.any):
        return _refused(f"There is no chaos run {asked.run}.")
    try:
        asyncio.run(_until_told(helping.help_any() if asked.any else running.run_engine(asked.run)))
    except running.REFUSALS as error:
        return _refused(str(error))
    except asyncio.CancelledError:
        return 0
    return 0


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gates.chaos", description="Strikes in cells of its own.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("run", metavar="RUN", nargs="?", type=_number, help="a chaos run's number, until it is over")
    which.add_argument("--any", action="store_true", help="whatever chaos run is open, until SIGTERM")
    return parser.parse_args(words)


def _number(word: str) -> int:
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r} is no run's number: it stands in the address of the run's page")
    return int(word)


def _refused(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return CANNOT_START


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Do the work; the first SIGTERM or SIGINT ends it in order, with every process and database given back.

    More of them do not hurry it: what is half struck is undone first.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()

    def told() -> None:
        if not task.cancelling():
            task.cancel()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, told)
    await task


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
