"""The desk as a whole: three loops that outlive every outage."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from gates.rehearsal.desk.booking import BookingStoppedError
from gates.rehearsal.desk.broker import Broker, BrokerError
from gates.rehearsal.desk.database import Database, DatabaseUnavailableError
from gates.rehearsal.desk.following import Follower
from gates.rehearsal.desk.health import Health, Pulse
from gates.rehearsal.desk.reconcile import reconcile
from gates.rehearsal.desk.settings import Settings
from gates.rehearsal.desk.trading import ImpossibleError, Protection, Trader, leave_market, trade_once

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 2.0
SHORTEST_PAUSE_S = 0.05
STOP_TIMEOUT_S = 0.5
OUTAGES = (BrokerError, DatabaseUnavailableError, TimeoutError, LookupError)


class Desk:
    """Follows the broker, trades, reconciles; each in a loop of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pulse = Pulse(trading=settings.trading and not settings.parked)
        self._databases = (Database(settings.database_url), Database(settings.database_url))
        self._brokers = tuple(
            Broker(settings.broker_url, token=settings.broker_token, account_id=settings.account_id) for _ in range(2)
        )
        self._follower = Follower(self._databases[0], self._brokers[0])
        self._stirred = asyncio.Event()
        self.trader = Trader(self._follower, Protection(settings.stop_pips, settings.take_profit_pips))
        self.health = Health(
            self._databases[1], self._brokers[1], follower=self._follower, pulse=self._pulse, settings=settings
        )

    def trade(self, running: bool) -> bool:
        """Trade by itself from now on, or leave the market. Returns whether it does; without a loop it never does."""
        self._pulse.trading = running and self._settings.trading
        return self._pulse.trading

    def look_now(self) -> None:
        """Look at the broker at once: an operation has failed, and what became of it is not known."""
        self._stirred.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the loops for the length of the block, ends them within STOP_TIMEOUT_S."""
        tasks = [asyncio.create_task(self._follow())]
        tasks.append(asyncio.create_task(self._repeat(self._reconcile, self._settings.reconcile_every_s)))
        if self._settings.trading:
            tasks.append(asyncio.create_task(self._repeat(self._trade, self._settings.trade_every_s)))
        try:
            yield
        finally:
            await asyncio.gather(*(database.stop() for database in self._databases))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=STOP_TIMEOUT_S)
            for broker in self._brokers:
                broker.close()

    async def _follow(self) -> None:
        """Sets up, reconciles once, then follows; begins anew after an outage, with growing pauses."""
        poll_s = self._settings.poll_every_s
        pause_s = poll_s
        ready = False
        while True:
            try:
                if not ready:
                    await self._follower.begin()
                    self._pulse.tables_ready = True
                    await self._follower.catch_up()
                    await reconcile(self._follower)
                    ready = True
                await self._poll()
                self._pulse.trouble = None
                pause_s = self._until_next_look()
            except BookingStoppedError as reason:
                self._pulse.trouble = str(reason)
            except OUTAGES as reason:
                self._pulse.trouble = str(reason) or "no answer in time"
                log.warning("not following the broker: %s", self._pulse.trouble)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            except Exception as reason:  # the loop outlives the unforeseen
                self._pulse.trouble = f"unforeseen {type(reason).__name__}: {reason}"
                log.exception("not following the broker")
                pause_s = LONGEST_PAUSE_S
            await self._rest(pause_s)

    def _until_next_look(self) -> float:
        """Until the next look at the broker; an intent in doubt is given up when it is due, however rare the looks."""
        ends = self._follower.doubt_ends
        if ends is None:
            return self._settings.poll_every_s
        left_s = (ends - datetime.now(UTC)).total_seconds()
        return min(self._settings.poll_every_s, max(left_s, 0) + SHORTEST_PAUSE_S)

    async def _rest(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stirred.wait()
        self._stirred.clear()

    async def _poll(self) -> None:
        await self._follower.catch_up()
        await self._follower.resolve_doubts()
        if self._follower.cursor != self._follower.valued:  # an order of its own books what it caused by itself
            await self._follower.value_account()

    async def _reconcile(self) -> None:
        await reconcile(self._follower)

    async def _trade(self) -> None:
        if not self._pulse.trading:
            return await leave_market(self.trader)
        limits = {"max_open": self._settings.max_open, "most_units": self._settings.most_units}
        return await trade_once(self.trader, **limits, dice=random.SystemRandom())

    async def _repeat(self, step: Callable[[], Awaitable[None]], every_s: float) -> None:
        """Does `step` every `every_s`, only while the broker is followed."""
        while True:
            await asyncio.sleep(every_s)
            if self._pulse.trouble is not None:
                continue
            try:
                await step()
            except (*OUTAGES, BookingStoppedError, ImpossibleError) as reason:
                log.warning("skipped: %s", str(reason) or "no answer in time")
            except Exception:
                log.exception("skipped")
