"""Rows written by the stream process: at once where something happened, once a second how each stream is.

The portal's database may be away for a while. What happened waits here, in order and bounded, and is written when it
is back; an alert then carries the time at which it happened.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError
from django.utils import timezone

from gates.alerts.raising import Event, raise_event
from gates.alerts.rechecking import WATCH
from gates.alerts.thresholds import LEVEL_RANK
from gates.hanging_up import let_go
from gates.models import Run, Stream, StreamGap
from gates.storable import storable

log = logging.getLogger(__name__)

MOST_WAITING = 100_000
AT_ONCE = 5_000
PAUSES_S = (0.2, 0.5, 1.0, 2.0)


@dataclass(slots=True)
class Standing:
    """How one stream of a run is; the columns of `Stream`."""

    run_id: int
    kind: str
    state: str = "waiting"
    reason: str = ""
    last_line_at: datetime | None = None
    last_id: int | None = None
    lines: int = 0
    unreadable: int = 0
    repeated: int = 0
    connections: int = 0


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that is an alert: the rule, what happened in one sentence, and when by the broker's clock."""

    run_id: int
    rule: str
    level: str
    sentence: str
    event_at: datetime
    cause: dict[str, Any] = field(default_factory=dict)
    threshold: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """A time in which a stream did not tell everything; ids where they are known."""

    run_id: int
    kind: str
    since: datetime
    until: datetime
    sentence: str
    repaired: bool
    first_id: int | None = None
    last_id: int | None = None


@dataclass(slots=True)
class Pen:
    """Writes what happened, in order, one after another.

    In a thread of its own, which has a connection of its own: what is kept of a hundred runs each second, and alerts
    that resolve by the hundred, must not hold up a new one.
    """

    waiting: asyncio.Queue[Happened | Cut] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    thread: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "pen"))

    def write(self, event: Happened | Cut) -> None:
        """Have it written soon. Where too much waits already, the log keeps it."""
        try:
            self.waiting.put_nowait(event)
        except asyncio.QueueFull:
            log.critical("not written, too much waits: %s", event.sentence)

    async def run(self) -> None:
        """Write until cancelled. In a storm many are taken at once, the critical ones first, and folded."""
        while True:
            taken = [await self.waiting.get()]
            while not self.waiting.empty() and len(taken) < AT_ONCE:
                taken.append(self.waiting.get_nowait())
            for many in folded(taken):
                await persistently(self.thread, _write, many)
            for _ in taken:
                self.waiting.task_done()


class Silent(Pen):
    """Writes nothing: for what is only looked at again."""

    def write(self, event: Happened | Cut) -> None:
        """Leave it unsaid."""


async def persistently(thread: Executor, write: Callable[..., object], *arguments: Any) -> None:
    """Do it in that thread; when the database is away, again with growing pauses until it is back."""
    loop, attempt = asyncio.get_running_loop(), 0
    while True:
        try:
            await loop.run_in_executor(thread, write, *arguments)
            return
        except (OperationalError, InterfaceError) as error:
            log.warning("not written yet: %s", str(error).splitlines()[0])
            await loop.run_in_executor(thread, let_go)
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1
        except Exception:  # a row that can never be written must not hold up those behind it
            log.exception("not written: %s", arguments)
            return


def folded(taken: Iterable[Happened | Cut]) -> list[tuple[Happened | Cut, int]]:
    """Return what is to be written and how often it happened: critical first, what repeats itself once."""
    groups: dict[object, tuple[Happened | Cut, int]] = {}
    for event in taken:
        key = (event.run_id, event.rule, event.level) if isinstance(event, Happened) else id(event)
        first, times = groups.get(key, (event, 0))
        groups[key] = (first, times + 1)
    return sorted(groups.values(), key=lambda group: -LEVEL_RANK[getattr(group[0], "level", "medium")])


def _write(many: tuple[Happened | Cut, int]) -> None:
    event, times = many
    run = Run.objects.select_related("campaign__target").get(pk=event.run_id)
    if isinstance(event, Happened):
        cause = event.cause | {"by": [WATCH]}
        happened = Event(event.rule, event.level, event.sentence, event.event_at, cause, event.threshold, times)
        raise_event(happened, target=run.campaign.target, run=run, now=timezone.now())
        return
    StreamGap.objects.create(
        run=run,
        kind=event.kind,
        since=event.since,
        until=max(event.since, event.until),
        first_id=event.first_id,
        last_id=event.last_id,
        repaired=event.repaired,
        sentence=storable(event.sentence),
    )


COLUMNS = ("state", "reason", "last_line_at", "last_id", "lines", "unreadable", "repeated", "connections")


def keep(standings: list[Standing]) -> None:
    """Write down how each stream is."""
    rows = [
        Stream(run_id=one.run_id, kind=one.kind, **{name: storable(getattr(one, name)) for name in COLUMNS})
        for one in standings
    ]
    Stream.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["run", "kind"], update_fields=list(COLUMNS), batch_size=500
    )
