"""One life after another: what ends by itself begins again."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from audits.sources import BrokerError
from audits.transactions import TransactionUnreadable

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5  # the broker asks for at most two new connections a second
LONGEST_PAUSE_S = 30.0
WELL_AFTER_S = 20.0


async def again_and_again(life: Callable[[], Awaitable[None]], note: Callable[[str], None]) -> None:
    """Live one life after another, with pauses that double while they are short; only a cancel ends it."""
    pause_s = FIRST_PAUSE_S
    while True:
        began = time.monotonic()
        try:
            await life()
        except (BrokerError, TransactionUnreadable, TimeoutError) as error:
            note(str(error) or "the broker did not answer in time")
        except Exception as error:
            log.exception("a stream's life ended: it begins again")
            note(f"{type(error).__name__}: begun again, see streams.log")
        else:
            continue
        if time.monotonic() - began > WELL_AFTER_S:
            pause_s = FIRST_PAUSE_S
        await asyncio.sleep(pause_s * (1 + random.random() / 4))  # noqa: S311  no secret: so that many do not come at once
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
