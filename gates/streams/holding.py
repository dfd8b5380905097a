"""The process: takes the lease, follows every run that watches a broker, and writes down how its streams are."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from gates import engine
from gates.alerts.rules.rule import Breach, Rule
from gates.alerts.watching.keeping import Written, keep
from gates.alerts.watching.run_watch import RunWatch
from gates.hanging_up import hang_up
from gates.models import Stream
from gates.streams import lease, writing
from gates.streams.following import Follower
from gates.streams.following_runs import Followed, going_on, runs_to_follow
from gates.streams.writing import Happened, Pen, Silent, Standing

log = logging.getLogger(__name__)

RUNS_AT_FULL_PACE = 50  # more are looked at less often: a hundred cost a third of a core, and are told of in a second


@dataclass(slots=True)
class Held:
    """One run: who follows its streams, who watches its target, and their tasks."""

    followed: Followed
    follower: Follower
    watch: RunWatch
    tasks: tuple[asyncio.Task[None], ...]


@dataclass(slots=True)
class Holder:
    """Holds the streams while it has the lease. `name` says which process it is."""

    name: str
    pen: Pen = field(default_factory=Pen)
    held: dict[int, "Held"] = field(default_factory=dict)
    written: Written = field(default_factory=dict)
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
            await hang_up()
            return False

    async def _attend(self) -> None:
        """Follow what runs, leave what has ended, write down how each is. Without the database nothing changes."""
        try:
            wanted = await sync_to_async(runs_to_follow)()
            over = {run_id for run_id, held in self.held.items() if run_id in wanted and _is_over(held, wanted[run_id])}
            await self._leave(set(self.held) - set(wanted) | over)
            for run_id in set(wanted) - set(self.held):
                await self._begin(wanted[run_id])
            for held in self.held.values():
                held.watch.pace = max(1.0, len(self.held) / RUNS_AT_FULL_PACE)
            await sync_to_async(self._note)()
        except (OperationalError, InterfaceError) as error:
            log.warning("the portal's database does not answer: %s", str(error).splitlines()[0])
            await hang_up()
        except Exception:  # one row that can never be written must not end the streams of all targets
            log.exception("what runs could not be attended to: tried again in %g s", lease.RENEW_S)

    def _note(self) -> None:
        running = [held.follower for held in self.held.values() if not held.followed.ended]
        writing.keep([one for follower in running for one in _standings(follower)])
        keep([held.watch for held in self.held.values()], self.written, timezone.now())
        engine.beat("streams", timezone.now())

    async def _begin(self, followed: Followed) -> None:
        """Follow and watch a run. Of one that has ended nothing new is told: it is only looked at again."""
        pen = Silent() if followed.ended else self.pen
        run_id = followed.target.run_id
        follower = Follower(followed.streams, pen, await sync_to_async(_last)(run_id))

        def tell(rule: Rule, breach: Breach) -> None:
            words = (rule.name, rule.level, breach.sentence, breach.event_at, breach.cause, breach.threshold)
            pen.write(Happened(run_id, *words))

        watch = RunWatch(await sync_to_async(going_on)(followed.target), follower, tell)
        tasks = (asyncio.create_task(follower.follow()), asyncio.create_task(watch.watch()))
        self.held[run_id] = Held(followed, follower, watch, tasks)

    async def _leave(self, run_ids: set[int]) -> None:
        left = [self.held[run_id] for run_id in run_ids]
        await _cancelled(left)
        for run_id in run_ids:
            del self.held[run_id]
        ended = [one for held in left if not held.followed.ended for one in _standings(held.follower)]
        for standing in ended:
            standing.state, standing.reason = "ended", ""
        if ended:
            await sync_to_async(writing.keep)(ended)

    async def _let_go(self) -> None:
        """Close every stream; what their rows say stays, so that whoever comes next knows up to where they came."""
        await _cancelled(self.held.values())
        self.held.clear()


async def _cancelled(held: Iterable[Held]) -> None:
    tasks = [task for one in held for task in one.tasks]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _is_over(held: Held, wanted: Followed) -> bool:
    """Whether it begins anew: the run has ended since, or a task that should never end has."""
    return wanted.ended != held.followed.ended or any(task.done() for task in held.tasks)


def _standings(follower: Follower) -> list[Standing]:
    return list(follower.standings.values())


def _last(run_id: int) -> dict[str, Standing]:
    """Where an earlier process had come, from its rows."""
    rows = Stream.objects.filter(run_id=run_id)
    return {
        row.kind: Standing(run_id, row.kind, **{name: getattr(row, name) for name in writing.COLUMNS}) for row in rows
    }
