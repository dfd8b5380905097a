"""The process: takes the lease, follows every run that watches a broker, and writes down how its streams are."""

import asyncio
import contextlib
import logging
import signal
import time
from dataclasses import dataclass, field

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from gates import engine
from gates.live_capital.environments import WrongEnvironmentError
from gates.live_capital.reaching import live_access
from gates.models import Run, Stream
from gates.streams import lease, writing
from gates.streams.following import Follower, Watched
from gates.streams.writing import Pen, Standing
from gates.targets.access import TargetUnreachableError, access

log = logging.getLogger(__name__)

REACHED = {1: access, 4: live_access}  # the gates that watch a broker over days, and how they reach it
MOST_RUNS = 1000


@dataclass(slots=True)
class Holder:
    """Holds the streams while it has the lease. `name` says which process it is."""

    name: str
    pen: Pen = field(default_factory=Pen)
    followers: dict[int, tuple[Follower, asyncio.Task[None]]] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Hold, or wait for the lease, until asked to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        writer = asyncio.create_task(self.pen.run())
        held_until = 0.0
        while not self.stopping.is_set():
            asked = time.monotonic()
            if await self._held():
                held_until = asked + lease.LEASE.total_seconds()
                await self._attend()
            elif time.monotonic() > held_until:
                await self._let_go()  # nobody knows whether the lease is still ours, so it is not
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), lease.RENEW_S)
        await self._let_go()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.pen.waiting.join(), lease.RENEW_S)
        writer.cancel()
        with contextlib.suppress(OperationalError, InterfaceError):
            await sync_to_async(lease.give_back)(self.name, now=timezone.now())

    async def _held(self) -> bool:
        try:
            return await sync_to_async(lease.take)(self.name, now=timezone.now())
        except (OperationalError, InterfaceError) as error:
            log.warning("the portal's database does not answer: %s", str(error).splitlines()[0])
            await sync_to_async(connection.close)()
            return False

    async def _attend(self) -> None:
        """Follow what runs, leave what has ended, write down how each is. Without the database nothing changes."""
        try:
            wanted = await sync_to_async(runs_to_follow)()
            await self._leave(set(self.followers) - set(wanted))
            for run_id in set(wanted) - set(self.followers):
                await self._begin(wanted[run_id])
            await sync_to_async(_note)([one for follower, _ in self.followers.values() for one in _standings(follower)])
        except (OperationalError, InterfaceError) as error:
            log.warning("the portal's database does not answer: %s", str(error).splitlines()[0])
            await sync_to_async(connection.close)()

    async def _begin(self, watched: Watched) -> None:
        follower = Follower(watched, self.pen, await sync_to_async(_last)(watched.run_id))
        self.followers[watched.run_id] = (follower, asyncio.create_task(follower.follow()))

    async def _leave(self, run_ids: set[int]) -> None:
        tasks = [self.followers[run_id][1] for run_id in run_ids]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ended = [one for run_id in run_ids for one in _standings(self.followers.pop(run_id)[0])]
        for standing in ended:
            standing.state, standing.reason = "ended", ""
        if ended:
            await sync_to_async(writing.keep)(ended)

    async def _let_go(self) -> None:
        """Close every stream; what their rows say stays, so that whoever comes next knows up to where they came."""
        tasks = [task for _, task in self.followers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.followers.clear()


def runs_to_follow() -> dict[int, Watched]:
    """Return the running runs whose broker streams, by id; one that cannot be reached is left to its own slots."""
    found = {}
    running = Run.objects.filter(state=Run.State.RUNNING, gate__in=REACHED).select_related("campaign__target")
    for run in running.order_by("pk")[:MOST_RUNS]:
        try:
            reach = REACHED[run.gate](run.campaign.target.spec)
        except (TargetUnreachableError, WrongEnvironmentError) as error:
            log.warning("run %s is not followed: %s", run.pk, error)
            continue
        limit_s = float(run.plan["stop_limit_s"])
        found[run.pk] = Watched(run.pk, reach.broker_url, reach.broker_account, reach.broker_token, limit_s)
    return found


def _standings(follower: Follower) -> list[Standing]:
    return list(follower.standings.values())


def _note(standings: list[Standing]) -> None:
    writing.keep(standings)
    engine.beat("streams", timezone.now())


def _last(run_id: int) -> dict[str, Standing]:
    """Where an earlier process had come, from its rows."""
    rows = Stream.objects.filter(run_id=run_id)
    return {
        row.kind: Standing(run_id, row.kind, **{name: getattr(row, name) for name in writing.COLUMNS}) for row in rows
    }
