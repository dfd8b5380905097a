"""What one look at a target shows. A part that could not be seen is None, and `unseen` says why. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    """The target's process on this machine; shares in percent, None where they cannot be seen.

    `cpu_pct` is its busiest thread's share of a core, or the share of all in all cores where that is more, over the
    last seconds; `memory_pct` of the memory that it may have; `disks` by path.
    """

    pid: int
    alive: bool
    cpu_pct: float | None = None
    memory_pct: float | None = None
    disks: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HealthSeen:
    """The target's own answer. `silent_s` is for how long it has left its health unanswered, 0 where it answers."""

    answered: bool
    well: bool
    reason: str
    silent_s: float
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """One session of the ledger's server that is not ours. `running_ms` and `waiting_ms` are of its query now."""

    pid: int
    query: str
    running_ms: float
    waiting_ms: float = 0.0
    blocked_by: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """The ledger's server. `error` is why it does not let us in; `killed` sessions ended by force since the last look.

    `hidden` is how many sessions may not be looked at with the rights of the ledger's user.
    """

    error: str = ""
    killed: int = 0
    sessions: tuple[SessionSeen, ...] = ()
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """One of the last balance events of an account."""

    event_id: str
    account_id: str
    sequence: int
    before: Decimal
    amount: Decimal
    after: Decimal
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class PositionSeen:
    """A position as stored, and as its events tell it (`told_…`)."""

    position_id: str
    trade_id: str | None
    status: str
    units_open: Decimal
    realized_pnl: Decimal
    told_status: str
    told_units: Decimal
    told_pnl: Decimal
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ReconciliationSeen:
    """One of the target's own reconciliations; `written_at` is when we first saw it."""

    reconciliation_id: str
    started_at: datetime
    duration_ms: Decimal
    mismatches: int


@dataclass(frozen=True, slots=True)
class BooksSeen:
    """The end of the books, at one moment: the last balance events, the positions that live or lately changed."""

    balances: dict[str, Decimal]
    balance_rows: tuple[BalanceRow, ...]
    positions: tuple[PositionSeen, ...]
    reconciliations: tuple[ReconciliationSeen, ...]  # those that were not seen before


@dataclass(frozen=True, slots=True)
class Apart:
    """A trade of the broker without its position, or a position without its trade, and since when that is seen."""

    key: str
    words: str
    since: datetime


@dataclass(frozen=True, slots=True)
class StopSeen:
    """A stop that was executed, or one that was touched and still waits (`latency_ms` None)."""

    order_id: str
    words: str
    at: datetime
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class WarningsSeen:
    """Warnings in the target's log: in the window that has just ended, and in the ones before it, seconds long."""

    now: int
    now_s: float
    before: int
    before_s: float
    last_line: str = ""


@dataclass(frozen=True, slots=True)
class SpeedSeen:
    """How long the target takes, in ms: the median of the last windows, newest last, and those of its earlier ones."""

    what: str
    lately: tuple[float, ...]
    before: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """One look, begun at `at`. `unseen` says in words, by the part's name, why a part is missing.

    `before` is, by the part's name, when the look before the one that is shown began.
    """

    at: datetime
    process: ProcessSeen | None = None
    health: HealthSeen | None = None
    server: ServerSeen | None = None
    books: BooksSeen | None = None
    apart: tuple[Apart, ...] | None = None
    stops: tuple[StopSeen, ...] | None = None
    warnings: WarningsSeen | None = None
    speeds: tuple[SpeedSeen, ...] | None = None
    unseen: dict[str, str] = field(default_factory=dict)
    before: dict[str, datetime] = field(default_factory=dict)

    def since(self, part: str) -> datetime:
        """Return the earliest time at which what this look shows for the first time can have happened."""
        return self.before.get(part, self.at)

    def why_unseen(self, part: str) -> str:
        """Say why a part is missing."""
        return self.unseen.get(part, "not looked at yet")
