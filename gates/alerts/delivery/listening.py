"""Hearing that something was cut: LISTEN on a connection of its own. What is not heard is found by looking."""

import asyncio
import logging
from dataclasses import dataclass

import psycopg
from django.db import connection

from gates.alerts.delivery.outbox import CHANNEL

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
CONNECT_S = 5


@dataclass(frozen=True, slots=True)
class Ear:
    """Sets `wake` at each notification, and once when it begins to hear: something may have been cut before."""

    wake: asyncio.Event

    async def listen(self) -> None:
        """Listen until cancelled; a connection that ends is followed by another, after growing pauses."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._once()
                pause_s = FIRST_PAUSE_S
            except (psycopg.Error, OSError) as error:
                log.warning("nothing is heard, only looked for: %s", str(error).splitlines()[0])
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _once(self) -> None:
        place = connection.settings_dict
        async with await psycopg.AsyncConnection.connect(
            dbname=place["NAME"],
            user=place["USER"],
            password=place["PASSWORD"],
            host=place["HOST"],
            port=place["PORT"],
            connect_timeout=CONNECT_S,
            autocommit=True,
            application_name="wartest delivery",
        ) as heard:
            await heard.execute(f"LISTEN {CHANNEL}")
            self.wake.set()
            async for _ in heard.notifies():
                self.wake.set()
