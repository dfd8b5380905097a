"""The pulse of the market: takes a price of the feed at every tick, while it runs."""

import asyncio
from dataclasses import dataclass

from .door import utc_now
from .feed import Feed
from .venue import Venue


@dataclass
class Pulse:
    """Ticks of the feed, `tick_ms` apart. `running` may be changed at any time."""

    venue: Venue
    feed: Feed
    tick_ms: int
    running: bool = True
    ticks: int = 0

    def open_market(self) -> None:
        self.venue.take_all(self.feed.opening(utc_now()))

    async def beat(self) -> None:
        """Tick until cancelled; a tick that is late does not make the next ones hurry."""
        while True:
            await asyncio.sleep(self.tick_ms / 1000)
            if self.running:
                self.ticks += 1
                self.venue.take_all(self.feed.tick(utc_now()))
