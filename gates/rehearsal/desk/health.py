"""Is the desk well: its database and its broker answer, its books are level. Never waits for trading."""

import asyncio
import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from gates.rehearsal.desk.broker import Broker, BrokerError
from gates.rehearsal.desk.database import Database, DatabaseUnavailableError
from gates.rehearsal.desk.following import Follower
from gates.rehearsal.desk.settings import Settings

PROBE_TIMEOUT_S = 1.5


def own_build() -> str:
    """`sha256:` over the desk's own sources, in order of name."""
    digest = sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return f"sha256:{digest.hexdigest()}"


def own_configuration(settings: Settings) -> str:
    """`sha256:` over the settings that make the desk trade as it does; no address and no secret is among them."""
    told = (settings.trading, settings.trade_every_s, settings.stop_pips, settings.take_profit_pips)
    rest = (settings.reconcile_every_s, settings.poll_every_s, settings.max_open)
    return f"sha256:{sha256(repr((*told, *rest)).encode()).hexdigest()}"


@dataclass
class Pulse:
    """What the desk's loops know about themselves; `trouble` is the reason the books are not followed."""

    trading: bool
    tables_ready: bool = False
    trouble: str | None = "the desk is starting"


class Health:
    """Probes over connections of its own, so that a long booking never delays an answer."""

    def __init__(
        self, database: Database, broker: Broker, *, follower: Follower, pulse: Pulse, settings: Settings
    ) -> None:
        self._database = database
        self._broker = broker
        self._follower = follower
        self._pulse = pulse
        self._build = own_build()
        self._configuration = own_configuration(settings)
        self._started_at = datetime.now(UTC)

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether all is well, and the figures."""
        (database_ms, open_positions, database_trouble), (broker_ms, broker_trouble) = await asyncio.gather(
            self._probe_database(), self._probe_broker()
        )
        reasons = [self._follower.stopped, database_trouble, broker_trouble, self._pulse.trouble]
        reason = next((reason for reason in reasons if reason), None)
        return reason is None, {
            "status": "ok" if reason is None else "failing",
            "reason": reason,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(),
            "build": self._build,
            "configuration": self._configuration,
            "trading": self._pulse.trading,
            "database_ms": database_ms,
            "broker_ms": broker_ms,
            "threads": threads(),
            "open_positions": open_positions,
            "last_transaction_id": self._follower.cursor,
        }

    async def _probe_database(self) -> tuple[float | None, int | None, str | None]:
        clock = time.perf_counter()
        try:
            async with self._database.transaction(limit_s=PROBE_TIMEOUT_S) as connection:
                await connection.execute("SELECT 1")
                answered_ms = _since_ms(clock)
                if not self._pulse.tables_ready:
                    return answered_ms, None, None
                found = await connection.execute(
                    "SELECT count(*) AS open FROM wartest.positions WHERE account_id = %s AND status = 'open'",
                    (self._follower.account_id,),
                )
                row = await found.fetchone()
                return answered_ms, None if row is None else int(row["open"]), None
        except DatabaseUnavailableError as trouble:
            return None, None, str(trouble)

    async def _probe_broker(self) -> tuple[float | None, str | None]:
        clock = time.perf_counter()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._broker.ping()
            return _since_ms(clock), None
        except (BrokerError, TimeoutError) as trouble:
            return None, str(trouble) or f"the broker does not answer within {PROBE_TIMEOUT_S} s"


def threads() -> int:
    """How many threads this process has, by the kernel's count; where it keeps none, by Python's."""
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208  as plain as can be: it is asked often
    except OSError:
        return threading.active_count()


def _since_ms(clock: float) -> float:
    return round((time.perf_counter() - clock) * 1000, 3)
