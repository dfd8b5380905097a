"""The process that delivers: it wakes when something is cut, and looks once a second in any case.

Every send has a thread of its own and a limit. A route that hangs fills its own few places and nobody else's, and of
those the last is kept for what is critical; a send that hangs for too long is given up, and its place is free again.
Two processes share the work by leases.
"""

import asyncio
import contextlib
import logging
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from gates import engine
from gates.alerts.delivery import failing, outbox, switched_off
from gates.alerts.delivery.listening import Ear
from gates.alerts.delivery.outbox import Room
from gates.alerts.delivery.sending import Letter, send
from gates.hanging_up import hang_up
from gates.models import Delivery

log = logging.getLogger(__name__)

POLL_S = 1.0
PLACES = 4  # of one route: so many messages are under way at once
SEND_LIMIT_S = 15.0  # far below the lease
STUCK_S = 120.0
MOST_STUCK = 40
LOOK_AFTER_THE_DEAD_S = 5.0
FINISH_S = 5.0
PAUSES_S = (0.2, 0.5, 1.0, 2.0)
ALL_RANKS = 9


Try = tuple[int, int]  # the row, and which try it is


@dataclass(slots=True)
class Places:
    """What is under way on one route: when each try began. A thread that hangs keeps its place until it is given up."""

    begun: dict[Try, float] = field(default_factory=dict)

    def room(self) -> Room:
        """The last place is kept for what is critical."""
        free = PLACES - len(self.begun)
        return Room(free - 1, ALL_RANKS) if free > 1 else Room(free, 0)

    def stuck(self, now_s: float) -> set[Try]:
        return {one for one, at in self.begun.items() if now_s - at > STUCK_S}


@dataclass(slots=True)
class Post:
    """Delivers until asked to stop. `name` says which process it is."""

    name: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    places: dict[int, Places] = field(default_factory=dict)
    given_up: set[Try] = field(default_factory=set)  # whose threads hang on
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    looked_at_s: float = 0.0
    beaten_at_s: float = 0.0

    async def run(self) -> None:
        """Deliver; every look begins at once when a message is cut or a place becomes free, else after a second."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        ear = asyncio.create_task(Ear(self.wake).listen())
        await self._patiently(failing.look_again)
        while not self.stopping.is_set():
            self.wake.clear()
            await self._patiently(self._claim)
            await self._patiently(self._keep)
            self._give_up_stuck()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), POLL_S)
        ear.cancel()
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=FINISH_S)

    def _stop(self) -> None:
        self.stopping.set()
        self.wake.set()

    async def _patiently(self, step: Callable[[], object]) -> None:
        """Take a step in the database's thread; while that is away, it is the next look's."""
        try:
            for row in await sync_to_async(step)() or ():  # type: ignore[attr-defined]
                self._begin(row)
        except (DatabaseError, InterfaceError) as error:
            log.warning("the portal's database does not answer: %s", str(error).splitlines()[0])
            await hang_up()

    def _claim(self) -> list[Delivery]:
        taken = {route_id: places.room() for route_id, places in list(self.places.items()) if places.begun}
        return outbox.claim(worker=self.name, room=Places().room(), taken=taken, now=timezone.now())

    def _keep(self) -> None:
        """Say that this process lives, look at the routes, and see to what the dead held."""
        now, now_s = timezone.now(), time.monotonic()
        if now_s - self.beaten_at_s >= POLL_S:
            self.beaten_at_s = now_s
            engine.beat("delivery", now)
            failing.look(now)
            switched_off.leave(now)
        if now_s - self.looked_at_s >= LOOK_AFTER_THE_DEAD_S:
            self.looked_at_s = now_s
            if outbox.free_claims_of_the_dead(now):
                self.wake.set()

    def _begin(self, row: Delivery) -> None:
        self.places.setdefault(row.route_id, Places()).begun[_try(row)] = time.monotonic()
        self.wake.set()  # there may be more, and one place is left
        task = asyncio.create_task(self._deliver(row))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def _deliver(self, row: Delivery) -> None:
        """Send and note it. Its place is free once it is noted, so that a death repeats no more than there are places;
        after a timeout, once its thread comes back."""
        letter = letter_of(row)
        done = in_a_thread(lambda: send(letter))
        try:
            why = await asyncio.wait_for(asyncio.shield(done), SEND_LIMIT_S)
        except TimeoutError:
            why = f"There was no answer within {SEND_LIMIT_S:.0f} s."
        now = timezone.now()
        if why:
            log.warning("%s by %s, try %s: %s", row.key, row.route.name, row.attempts, why)
            await _persistently(outbox.note_failed, row, why, spread=random.random(), now=now)  # noqa: S311  no secret
        else:
            await _persistently(outbox.note_delivered, row, now=now)
        done.add_done_callback(lambda _: self._leave(row))

    def _leave(self, row: Delivery) -> None:
        self.places[row.route_id].begun.pop(_try(row), None)
        self.given_up.discard(_try(row))
        self.wake.set()

    def _give_up_stuck(self) -> None:
        """Threads that never come back cannot be ended: past a limit the process ends, and is started anew."""
        now_s = time.monotonic()
        for places in self.places.values():
            for one in places.stuck(now_s):
                del places.begun[one]
                self.given_up.add(one)
                self.wake.set()
        stuck = len(self.given_up)
        if stuck > MOST_STUCK:
            raise SystemExit(f"{stuck} sends have hung for more than {STUCK_S:.0f} s: begun anew, nothing is lost.")


def _try(row: Delivery) -> Try:
    return row.pk, row.attempts


def letter_of(row: Delivery) -> Letter:
    """What is sent of a claimed row; a drill's code is put in here and stands nowhere else."""
    body = row.body.replace("{code}", row.code) if row.code else row.body
    return Letter(row.route.address, row.key, row.level, row.title, body)


def in_a_thread(work: Callable[[], str]) -> asyncio.Future[str]:
    """Do it in a thread of its own, which nobody waits for at the end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def go() -> None:
        try:
            answer = work()
        except Exception as error:  # whatever it was, the try failed
            answer = f"{type(error).__name__} in a send: see delivery.log"
            log.exception("a send ended by itself")
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(done.set_result, answer)

    threading.Thread(target=go, daemon=True).start()
    return done


async def _persistently(write: Callable[..., object], *arguments: object, **fields: object):  # type: ignore[no-untyped-def]
    """Do it in the database's thread, again with growing pauses while that is away."""
    attempt = 0
    while True:
        try:
            return await sync_to_async(write)(*arguments, **fields)
        except (DatabaseError, InterfaceError) as error:
            log.warning("not noted yet: %s", str(error).splitlines()[0])
            await hang_up()
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1
