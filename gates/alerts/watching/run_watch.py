"""Everything the rules need of one run, looked at again and again; each look is judged, and what is new is told.

Parts are looked at by tasks of their own, so that a ledger or a health address that stalls delays no other part. The
judge takes what is there: what happened since its last look it takes once, the rest as it was last seen.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import psycopg
from django.utils import timezone

from gates.alerts.rules import RULES, missed_trigger, performance, stop_latency, warnings_rising
from gates.alerts.rules.observed import (
    Apart,
    BooksSeen,
    HealthSeen,
    Observed,
    ReconciliationSeen,
    ServerSeen,
    StopSeen,
)
from gates.alerts.rules.rule import Breach, Judgement, Rule, Thresholds, unseen
from gates.alerts.watching.log_file import LogFile
from gates.alerts.watching.process import ProcessWatch
from gates.alerts.watching.server import ServerWatch
from gates.alerts.watching.trades import without_other_half
from gates.alerts.watching.trends import SpeedTrend, WarningTrend
from gates.checks import health
from gates.targets.access import Access

log = logging.getLogger(__name__)

JUDGE_S = 0.2
SERVER_S = 0.25
BOOKS_S = 0.4
HEALTH_S = 1.0
LOG_S = 0.25
TOLD_BY_STREAMS = frozenset({missed_trigger.RULE.name, stop_latency.RULE.name})  # at once, as the line comes
NO_SERVER = "a hosted ledger shows neither its server nor its sessions: its books are judged by the slots"
SPEEDS = (("answer_ms", "answer at its health address"), ("database_ms", "database"), ("broker_ms", "broker"))


class Told(Protocol):
    """What the streams of the run have told, as `gates.streams.following.Follower` keeps it."""

    def open_trades(self) -> Mapping[str, str] | None:
        """Trade id → instrument, None while the stream of transactions is away."""

    def stops(self, at: datetime) -> tuple[StopSeen, ...] | None:
        """The stops executed since the last time this was asked, and those that are missed `at`; None: unknown."""


@dataclass(frozen=True, slots=True)
class WatchedTarget:
    """What is looked at for one run. Never stored or logged: it holds secrets. `since`: what lies before is known."""

    run_id: int
    target_id: int
    live: bool
    access: Access = field(repr=False)
    limits: Thresholds
    since: datetime
    pid: int | None = None
    started_ticks: float | None = None
    log: str = ""
    disks: tuple[str, ...] = ()


@dataclass(slots=True)
class RuleStanding:
    """What a rule says of the run now, which breaches were told, when it fired last, and its last clean look."""

    rule: Rule
    judgement: Judgement
    looked_at: datetime
    told: frozenset[str] = frozenset()
    fired_at: datetime | None = None
    clean_at: datetime | None = None
    clean_words: str = ""


@dataclass(slots=True)
class RunWatch:
    """Watches one run until cancelled. `tell` is called with each breach that is new."""

    watched: WatchedTarget
    streams: Told
    tell: Callable[[Rule, Breach], None]
    pace: float = 1.0  # above 1 where many runs share this process
    standings: dict[str, RuleStanding] = field(default_factory=dict)
    _seen: Observed = field(default_factory=lambda: Observed(timezone.now()))
    _reconciliations: list[ReconciliationSeen] = field(default_factory=list)
    _killed: int = 0
    _fresh: asyncio.Event = field(default_factory=asyncio.Event)  # what was seen differs: judge at once
    _began: dict[str, datetime] = field(default_factory=dict)
    _apart: dict[str, Apart] = field(default_factory=dict)
    _answered_s: float = field(default_factory=time.monotonic)
    _speeds: tuple[SpeedTrend, ...] = field(init=False)
    _warnings: WarningTrend = field(init=False)

    def __post_init__(self) -> None:
        window_s = self.watched.limits["trend_window_s"]
        self._speeds = tuple(SpeedTrend(words, window_s) for _, words in SPEEDS)
        self._warnings = WarningTrend(window_s)

    async def watch(self) -> None:
        """Look and judge until cancelled."""
        server = self._server()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._every(HEALTH_S, self._look_at_health))
                tasks.create_task(self._every(LOG_S, self._look_at_log()))
                if server is not None:
                    tasks.create_task(self._every(SERVER_S, lambda: self._look_at_server(server)))
                    tasks.create_task(self._every(BOOKS_S, lambda: self._look_at_books(server)))
                tasks.create_task(self._every(JUDGE_S, self._judge_all(self._process()), self._fresh))
        finally:
            if server is not None:
                await server.close()

    async def _every(
        self, pause_s: float, look: Callable[[], Awaitable[None]], woken: asyncio.Event | None = None
    ) -> None:
        """Look again after each pause, or sooner when woken."""
        woken = woken or asyncio.Event()
        while True:
            try:
                await look()
            except Exception:  # one look that fails must not end the others
                log.exception("run %s: a look failed", self.watched.run_id)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), pause_s * self.pace)
            woken.clear()

    def _looking(self, part: str, began: datetime) -> None:
        """Keep when the look before this one began: what this one shows for the first time happened since."""
        before = self._began.get(part)
        self._began[part] = began
        if before is not None:
            self._seen = replace(self._seen, before=self._seen.before | {part: before})

    def _miss(self, part: str, why: str) -> None:
        self._seen = replace(self._seen, **{part: None}, unseen=self._seen.unseen | {part: why})  # type: ignore[arg-type]

    def _server(self) -> ServerWatch | None:
        reach, why = self.watched.access, NO_SERVER
        if reach.ledger_url.startswith(("postgresql://", "postgres://")):
            try:
                return ServerWatch(reach.ledger_url, reach.ledger_schema, reach.broker_account, self.watched.since)
            except (psycopg.Error, ValueError):
                why = "the ledger's address cannot be read"  # it may hold a password, so it is not shown
        for part in ("server", "books", "apart"):
            self._miss(part, why)
        return None

    def _process(self) -> ProcessWatch | None:
        watched = self.watched
        if watched.pid is None or watched.started_ticks is None:
            self._miss("process", "the run began without knowing the target's process")
            return None
        average_s = watched.limits["resource_for_s"]
        return ProcessWatch(watched.pid, watched.started_ticks, average_s=average_s, disks=watched.disks)

    async def _look_at_health(self) -> None:
        told = await asyncio.to_thread(health.observe, self.watched.access)
        now_s = time.monotonic()
        answered = "error" not in told
        if answered:
            self._answered_s = now_s
        well = answered and told["status_code"] == 200 and told.get("status") == "ok"
        reason = str(told.get("error") or told.get("reason") or told.get("status") or "")
        seen = HealthSeen(answered, well, reason, now_s - self._answered_s, told.get("pid"))
        for (key, _), trend in zip(SPEEDS, self._speeds, strict=True):
            if told.get(key) is not None:
                trend.add(float(told[key]), now_s)
        fresh = tuple(trend.seen() for trend in self._speeds if trend.is_fresh(now_s))
        self._seen = replace(self._seen, health=seen, speeds=fresh)
        if not fresh:
            self._miss("speeds", "the target has told no times lately")

    def _look_at_log(self) -> Callable[[], Awaitable[None]]:
        file = LogFile(Path(self.watched.log)) if self.watched.log else None

        async def look() -> None:
            if file is None:
                self._miss("warnings", "the target's description names no [process] log")
                return
            try:
                count, line = await asyncio.to_thread(file.read)
            except OSError as error:
                self._miss("warnings", f"the target's log cannot be read: {error.strerror or error}")
                return
            self._warnings.add(count, line, time.monotonic())
            if count:
                self._fresh.set()
            self._seen = replace(self._seen, warnings=self._warnings.seen())

        return look

    async def _look_at_server(self, server: ServerWatch) -> None:
        began = timezone.now()
        seen = await server.look()
        self._looking("server", began)
        if seen is None:
            self._miss("server", "the ledger's server did not answer in time")
            return
        self._killed += seen.killed
        self._seen = replace(self._seen, server=seen)
        if seen.killed or seen.sessions or seen.error:
            self._fresh.set()

    async def _look_at_books(self, server: ServerWatch) -> None:
        began = timezone.now()
        books = await server.books()
        self._looking("books", began)
        if isinstance(books, str):
            for part in ("books", "apart"):
                self._miss(part, books)
            return
        if books != self._seen.books:
            self._fresh.set()
        self._reconciliations += books.reconciliations
        self._seen = replace(self._seen, books=books)
        self._compare(books)

    def _compare(self, books: BooksSeen) -> None:
        """Note since when each trade and each position is without its other half."""
        trades = self.streams.open_trades()
        if trades is None:
            self._apart = {}
            self._miss("apart", "the broker's stream of transactions is away")
            return
        if any(position.trade_id is None for position in books.positions):
            self._apart = {}
            self._miss("apart", "the ledger does not say of each position which trade of the broker it is")
            return
        words = without_other_half(trades, books.positions)
        now = timezone.now()
        self._apart = {key: self._apart.get(key) or Apart(key, text, now) for key, text in words.items()}
        self._seen = replace(self._seen, apart=tuple(self._apart.values()))

    def _judge_all(self, process: ProcessWatch | None) -> Callable[[], Awaitable[None]]:
        async def judge() -> None:
            at = timezone.now()
            self._looking("process", at)
            part = None if process is None else process.look()
            stops = self.streams.stops(at)
            if stops is None:
                self._miss("stops", "a stream of the broker is away: whether a touched stop waits is not known")
            seen = self._taken(replace(self._seen, at=at, stops=stops, process=part))
            for rule in RULES:
                self._note(rule, _judgement(rule, seen, self.watched.limits), at)
            for trend in self._speeds:
                trend.firing = self._fires(performance.RULE)
            self._warnings.firing = self._fires(warnings_rising.RULE)

        return judge

    def _fires(self, rule: Rule) -> bool:
        return bool(self.standings[rule.name].judgement.breaches)

    def _taken(self, seen: Observed) -> Observed:
        """Add what happened since the last look, which is taken once."""
        fresh, self._reconciliations = tuple(self._reconciliations), []
        killed, self._killed = self._killed, 0
        books = None if seen.books is None else replace(seen.books, reconciliations=fresh)
        server: ServerSeen | None = None if seen.server is None else replace(seen.server, killed=killed)
        return replace(seen, books=books, server=server)

    def _note(self, rule: Rule, judgement: Judgement, at: datetime) -> None:
        before = self.standings.get(rule.name) or RuleStanding(rule, judgement, at)
        for breach in judgement.breaches:
            if breach.key not in before.told and rule.name not in TOLD_BY_STREAMS:
                self.tell(rule, breach)
        clean = (at, judgement.clean) if judgement.clean else (before.clean_at, before.clean_words)
        told = frozenset(breach.key for breach in judgement.breaches)
        if judgement.not_judged:  # what is not seen for a moment is not new when it is seen again
            told = before.told
        stands = before.judgement if judgement.waits else judgement
        fired_at = at if judgement.breaches else before.fired_at
        self.standings[rule.name] = RuleStanding(rule, stands, at, told, fired_at, *clean)


def _judgement(rule: Rule, seen: Observed, limits: Thresholds) -> Judgement:
    """What the rule says; a rule that fails proves nothing, and says so."""
    try:
        return rule.judge(seen, limits)
    except Exception as error:
        log.exception("rule %s", rule.name)
        return unseen(f"the rule could not be judged: {type(error).__name__}")
