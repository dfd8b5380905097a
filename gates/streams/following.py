"""Both streams of one run: lines read, gaps repaired or recorded, stops judged as they happen."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from audits.sources import BrokerError
from audits.sources.get_only_lines import GetOnlyLines
from audits.sources.oanda import OandaReader
from audits.transactions import TransactionUnreadable, number_of
from gates.alerts.rules.observed import StopSeen
from gates.alerts.watching.trades import OpenTrades
from gates.streams.continuity import Continuity, Hole
from gates.streams.lines import Heartbeat, Line, LineUnreadable, Quote, Told, read_line
from gates.streams.lives import again_and_again
from gates.streams.stopwatch import Missed, Stopwatch
from gates.streams.telling import Watched, missed_of, slow_of, touch_of
from gates.streams.writing import Cut, Pen, Standing

PRICES, TRANSACTIONS = "prices", "transactions"
MOST_EXECUTED = 1000
SILENCE_S = 12.0  # two heartbeats of five seconds may be lost, the third may not
LOOK_S = 0.1
LOOK_UP_AGAIN_S = 1.0
PATIENCE_S = 0.3  # a heartbeat may overtake the lines that it counts
LONGEST_REASON = 300


@dataclass(slots=True)
class Follower:
    """Follows one run. `last` is up to where an earlier process had come, where there was one."""

    watched: Watched
    pen: Pen
    last: Mapping[str, Standing] = field(default_factory=dict)
    standings: dict[str, Standing] = field(init=False)
    trades: OpenTrades = field(default_factory=OpenTrades)
    executed: deque[StopSeen] = field(default_factory=lambda: deque(maxlen=MOST_EXECUTED))
    stopwatch: Stopwatch | None = None

    def __post_init__(self) -> None:
        run_id = self.watched.run_id
        self.standings = {kind: self.last.get(kind) or Standing(run_id, kind) for kind in (PRICES, TRANSACTIONS)}

    async def follow(self) -> None:
        """Follow until cancelled; what ends it by itself is tried again after growing pauses."""
        await again_and_again(self._once, self._note_trouble)

    async def _once(self) -> None:
        async with asyncio.timeout(SILENCE_S * 2):
            account = await asyncio.to_thread(self._read, _account)
        before, stops = self.stopwatch, Stopwatch(limit_s=self.watched.limit_s)
        stops.begin(account, before.missed if before else ())
        self.stopwatch = stops
        self.trades.begin(account)
        await _Tape(self, stops, account).play()

    def open_trades(self) -> Mapping[str, str] | None:
        """Return trade id → instrument of what is open now; None while the stream of transactions is away."""
        return self.trades.now if self._connected(TRANSACTIONS) else None

    def stops(self, at: datetime) -> tuple[StopSeen, ...] | None:
        """Return the stops executed since this was asked last, and those that are missed `at`.

        When one was touched is told by the broker's clock, and that it is missed by ours: its time is over by now. None
        where it cannot be known whether one waits; what was executed before it is known again proves nothing then.
        """
        executed = [self.executed.popleft() for _ in range(len(self.executed))]
        if self.stopwatch is None or not self._connected(TRANSACTIONS):
            return None
        over = at - timedelta(seconds=self.watched.limit_s)
        missed = [StopSeen(one.order.order_id, touch_of(one.order), over, None) for one in self.stopwatch.missed]
        if self.stopwatch.instruments and not self._connected(PRICES):
            return tuple(missed) or None
        if self.stopwatch.overdue(time.monotonic()):  # it is being looked up whether they were executed
            return tuple(missed)
        return (*executed, *missed)

    def _connected(self, kind: str) -> bool:
        return self.standings[kind].state == "connected"

    def _read(self, what: Any, *arguments: Any) -> Any:
        watched = self.watched
        with OandaReader(watched.url, watched.account, watched.token) as broker:
            return what(broker, *arguments)

    async def read_since(self, last_id: int) -> list[dict[str, Any]]:
        """Return the transactions after this one, from the broker's own records. Raises BrokerError."""
        records: list[dict[str, Any]] = await asyncio.to_thread(self._read, OandaReader.transactions, last_id)
        return records

    def _note_trouble(self, words: str) -> None:
        for standing in self.standings.values():
            standing.state, standing.reason = "waiting", words


def _account(broker: OandaReader) -> dict[str, Any]:
    return broker.account()


class _Tape:
    """One life of a follower: from an account's state on, line by line."""

    def __init__(self, follower: Follower, stops: Stopwatch, account: Mapping[str, Any]) -> None:
        self._follower, self._stops = follower, stops
        self._pen, self._watched, self._standings = follower.pen, follower.watched, follower.standings
        self._lines = GetOnlyLines(stream_host(self._watched.url), self._watched.token)
        self._continuity = Continuity(int(account["lastTransactionID"]))
        self._traded = {str(position["instrument"]) for position in account.get("positions") or ()}
        self._priced: frozenset[str] = frozenset()
        self._latest: dict[str, datetime] = {}
        self._whole_until: datetime | None = None  # by the broker's clock: no transaction before that is unknown
        self._mending = asyncio.Lock()

    async def play(self) -> None:
        """Hold both streams until one of them cannot be held, or cancelled."""
        self._join()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(again_and_again(self._transactions, self._trouble(TRANSACTIONS)))
            tasks.create_task(again_and_again(self._prices, self._trouble(PRICES)))
            tasks.create_task(self._look())

    def _join(self) -> None:
        """Say what happened while no process held the streams: an account's state was read, its lines were not seen."""
        before = self._standings[TRANSACTIONS]
        here = self._continuity.last_id
        if before.last_id is not None and before.last_id < here and before.last_line_at:
            hole = Hole(before.last_id + 1, here)
            self._record(TRANSACTIONS, before.last_line_at, "while nobody held the stream", hole)
        before.last_id = here

    async def _transactions(self) -> None:
        path = f"/v3/accounts/{self._watched.account}/transactions/stream"
        async for line in self._read_lines(TRANSACTIONS, path, {}):
            if isinstance(line, Told | Heartbeat):
                await self._take(line)

    async def _take(self, line: Told | Heartbeat) -> None:
        async with self._mending:
            found = self._continuity.follow(line)
            if isinstance(found, Told):
                self._learn(found.record)
        if isinstance(found, Hole):
            if isinstance(line, Heartbeat):
                await asyncio.sleep(PATIENCE_S)
            await self._mend(found, "a line that the stream left out")
        standing = self._standings[TRANSACTIONS]
        standing.last_id, standing.repeated = self._continuity.last_id, self._continuity.repeated
        number = line.last_id if isinstance(line, Heartbeat) else line.number
        if number == standing.last_id:
            self._whole_until = line.at

    async def _mend(self, hole: Hole | None, why: str) -> None:
        """Read what the stream left out, by `sinceid`; a hole that closed meanwhile is none. Raises BrokerError."""
        async with self._mending:
            before = self._continuity.last_id
            if hole and hole.last <= before:
                return
            since = self._standings[TRANSACTIONS].last_line_at or timezone.now()
            for record in await self._follower.read_since(before):
                told = Told(timezone.now(), number_of(record), record)
                if isinstance(self._continuity.follow(told), Told):
                    self._learn(record)
            if self._continuity.last_id > before:
                self._record(TRANSACTIONS, since, why, Hole(before + 1, self._continuity.last_id))

    async def _prices(self) -> None:
        self._stops.look_away()
        while not (self._stops.instruments | self._traded):
            self._standings[PRICES].reason = "no instrument has a stop or was ever traded"
            await asyncio.sleep(LOOK_S)
        self._priced = frozenset(self._stops.instruments | self._traded)
        path = f"/v3/accounts/{self._watched.account}/pricing/stream"
        lines = self._read_lines(PRICES, path, {"instruments": ",".join(sorted(self._priced))})
        async for line in lines:
            if isinstance(line, Quote):
                self._stops.quote(line, time.monotonic())
            if self._stops.instruments - self._priced:
                return  # one more instrument to be priced: a new stream, shorter away than the pause between two prices

    async def _read_lines(self, kind: str, path: str, params: Mapping[str, str]) -> AsyncIterator[Line]:
        """Yield the readable lines of a stream; what came before the first is a gap. Raises BrokerError."""
        standing = self._standings[kind]
        standing.connections += 1
        fresh = True
        async for raw in self._lines.lines(path, params, silence_s=SILENCE_S):
            now = timezone.now()
            if fresh:
                fresh = False
                await self._reconnected(kind, standing.last_line_at, now)
            standing.state, standing.last_line_at = "connected", now
            standing.lines += 1
            line = self._readable(raw, standing)
            if line is not None:
                yield line

    async def _reconnected(self, kind: str, since: datetime | None, now: datetime) -> None:
        if kind == TRANSACTIONS:
            await self._mend(None, "while the stream was away")
        elif since is not None and now - since > timedelta(seconds=1):
            lost = self._stops.forget_touches(time.monotonic())
            held = f" {len(lost)} touched stops are judged by the slots alone." if lost else ""
            self._record(PRICES, since, f"no price for {(now - since).total_seconds():.1f} s.{held}", None)
        self._standings[kind].reason = ""

    def _readable(self, raw: bytes, standing: Standing) -> Line | None:
        """A line that cannot be read, or that goes back in time, is counted and shown; the next one may be well."""
        try:
            line = read_line(raw)
        except LineUnreadable as error:
            standing.unreadable += 1
            standing.reason = str(error)[:LONGEST_REASON]
            return None
        key = line.instrument if isinstance(line, Quote) else standing.kind
        before = self._latest.get(key)
        if before is not None and line.at < before and isinstance(line, Quote):
            standing.unreadable += 1
            standing.reason = f"A price of {key} goes back in time, from {before.isoformat()} to {line.at.isoformat()}."
            return None
        self._latest[key] = line.at
        return line

    def _learn(self, record: Mapping[str, Any]) -> None:
        try:
            self._follower.trades.learn(record)
            executed = self._stops.learn(record)
        except (TransactionUnreadable, KeyError) as error:
            standing = self._standings[TRANSACTIONS]
            standing.unreadable += 1
            standing.reason = f"Transaction {record.get('id')} could not be read: {error}"[:LONGEST_REASON]
            return
        for stop in executed:
            if stop.timed:
                told = StopSeen(stop.order.order_id, touch_of(stop.order), stop.fill.time, stop.latency_ms)
                self._follower.executed.append(told)
            if stop.latency_ms > self._watched.latency_ms:
                self._pen.write(slow_of(self._watched, stop))

    async def _look(self) -> None:
        """Ask again and again which touched stops are overdue; none is called missed while it may have been executed.

        That it was not, the account says; or, where that cannot be read, the stream by a line that came later.
        """
        while True:
            await asyncio.sleep(LOOK_S)
            late = self._stops.overdue(time.monotonic())
            known = not late or await self._looked_up()
            for missed in late:
                if (known or self._is_told_past(missed)) and self._stops.miss(missed.order.order_id):
                    self._pen.write(missed_of(self._watched, missed))
            if not known:
                await asyncio.sleep(LOOK_UP_AGAIN_S)

    def _is_told_past(self, missed: Missed) -> bool:
        """Whether the stream has told everything up to the time at which the stop should have been executed."""
        over = missed.touched_at + timedelta(seconds=self._watched.limit_s)
        return self._whole_until is not None and self._whole_until >= over

    async def _looked_up(self) -> bool:
        try:
            await self._mend(None, "a fill that the stream had not told yet")
        except (BrokerError, TransactionUnreadable, TimeoutError) as error:
            words = f"Whether a touched stop was executed could not be looked up: {error}"
            self._standings[TRANSACTIONS].reason = words[:LONGEST_REASON]
            return False
        return True

    def _record(self, kind: str, since: datetime, why: str, hole: Hole | None) -> None:
        ids = "" if hole is None else f"transactions {hole.first} to {hole.last}, read again by sinceid: "
        now = timezone.now()
        cut = Cut(self._watched.run_id, kind, since, now, f"{ids}{why}", repaired=hole is not None)
        if hole:
            cut = Cut(cut.run_id, kind, since, now, cut.sentence, True, hole.first, hole.last)
        self._pen.write(cut)

    def _trouble(self, kind: str) -> Any:
        def note(words: str) -> None:
            self._standings[kind].state, self._standings[kind].reason = "waiting", words[:LONGEST_REASON]
            if kind == PRICES:
                self._stops.look_away()

        return note


def stream_host(url: str) -> str:
    """Return where the streams are: OANDA has them on hosts of their own, `stream-…` instead of `api-…`."""
    base = url.rstrip("/").removesuffix("/v3")
    return base.replace("://api-fx", "://stream-fx", 1)
