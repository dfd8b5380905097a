"""The pulse of the market: takes a price of the feed at every tick, while it runs."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

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
    financing_hour: int | None = None
    """Hour of the day (UTC) at whose beginning a day of financing is booked; None books none."""

    now: datetime = field(default_factory=utc_now)
    """Time of the last tick."""

    def open_market(self) -> None:
        """Go on where the journal ends, or begin with the first prices."""
        if self.venue.restore():
            self.feed.resume(self.venue.market.prices.values(), self.venue.beats)
        else:
            self.venue.take(*self.feed.opening(self.now))

    async def beat(self) -> None:
        """Tick until cancelled; a tick that is late does not make the next ones hurry."""
        while True:
            await asyncio.sleep(self.tick_ms / 1000)
            if self.running:
                self.ticks += 1
                before, now = self.now, utc_now()
                self.now = now
                self.venue.take(*self.feed.tick(now), is_beat=True)
                if is_financing_due(self.financing_hour, before, now):
                    self.venue.charge_financing(now)


def is_financing_due(hour: int | None, before: datetime, now: datetime) -> bool:
    """Whether the beginning of `hour` lies after `before` and not after `now`."""
    if hour is None:
        return False
    due = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return before < due <= now
