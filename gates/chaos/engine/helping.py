"""The engine of a machine beside the portal's: it helps with whatever run is open, and waits while none is."""

import asyncio
import logging
import time

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from gates.chaos.engine import posts, running, starting
from gates.hanging_up import hang_up
from gates.workers import identity

log = logging.getLogger(__name__)

LOOK_S = 2.0
ASIDE_S = 60.0  # a run that cannot be worked on from here is left to others so long


async def help_any() -> None:
    """Work on open runs, one at a time, the oldest first, until cancelled.

    1. Undo what dead engines of this machine have left. 2. Find a run. 3. Work on it as any engine until it is over.
    What keeps that from going on is said in one line, and looked at again.
    """
    aside: dict[int, float] = {}
    log.info("waiting for chaos runs")
    while True:
        aside = {run_id: until for run_id, until in aside.items() if until > time.monotonic()}
        run_id = None
        try:
            run_id = await sync_to_async(_next)(frozenset(aside))
            if run_id is not None:
                log.info("helping with run %s", run_id)
                await running.run_engine(run_id)
                log.info("run %s is over: waiting for the next", run_id)
                continue
        except (OperationalError, InterfaceError) as error:
            log.warning("the portal's database does not answer: %s", str(error).splitlines()[0])
            await hang_up()
        except running.REFUSALS as error:
            log.warning("run %s is left to other machines for %g s: %s", run_id, ASIDE_S, error)
        except Exception:  # one run that breaks it must not end the help for all others
            log.exception("run %s broke the engine: it is left to other machines for %g s", run_id, ASIDE_S)
        if run_id is not None:
            aside[run_id] = time.monotonic() + ASIDE_S
        await asyncio.sleep(LOOK_S)


def _next(aside: frozenset[int]) -> int | None:
    """The run to work on next, once nothing is left of what was begun and broke."""
    posts.release(identity())
    starting.take_over(timezone.now())
    return posts.run_to_help(timezone.now(), but=aside)
