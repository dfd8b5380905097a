"""Where alerts are provoked: a desk that trades only when asked, and the run by which a portal watches it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import psutil
import psycopg

from gates.checks.processes import started_ticks
from gates.detection.ground import TOKEN, Desk, Ground, GroundError
from gates.models import Campaign, Run, Slot, Target
from gates.plans import plan_for

DESK = ("--reconcile-every-s", "0.5")
WATCHED_FOR = timedelta(hours=1)
MOST_ASKS, PAUSE_S = 10, 0.5

# Limits of this target alone, as anybody may set them in `[alerts]` of a description: what takes minutes to be sure
# of in production is to be seen within seconds here. Of resources, the processor is used up, so disks are not told.
LIMITS: dict[str, float] = {
    "orphan_after_s": 0.5,
    "silent_after_s": 3,
    "slow_query_ms": 400,
    "cpu_pct": 15,
    "disk_pct": 100,
    "resource_for_s": 0.6,
    "trend_window_s": 1.5,
    "warnings_chance": 0.05,
    "warnings_least": 2,
    "slower_least_ms": 250,
}


@dataclass(frozen=True)
class Place:
    """What things are done to. `run` is the run by which the portal watches the desk."""

    desk: Desk
    run: Run

    @property
    def pid(self) -> int:
        """The desk's process."""
        assert self.desk.process is not None  # noqa: S101  it was begun, else there is no place
        return self.desk.process.pid

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Carry out a statement in the desk's ledger, as whoever has its password could."""
        with psycopg.connect(self.desk.database_url, autocommit=True) as ledger:
            done = ledger.execute(statement.encode(), values)
            return done.fetchall() if done.description else []

    def broker(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask the broker past the desk, as another hand on the same account."""
        access = self.desk.access
        answer = httpx.request(
            method,
            f"{access.broker_url}/v3/accounts/{access.broker_account}{path}",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=10,
            trust_env=False,
        )
        answer.raise_for_status()
        return dict(answer.json())

    def fault(self, body: Mapping[str, Any]) -> None:
        """Have the broker misbehave until `no_fault`."""
        self._control("POST", "/faults", body)

    def no_fault(self) -> None:
        """Have it behave again."""
        self._control("DELETE", "/faults")

    def price(self, bid: str, ask: str) -> None:
        """Move the market."""
        self._control("POST", "/ticks", {"instrument": "EUR_USD", "bid": bid, "ask": ask})

    def open(self, bid: str = "1.09994", ask: str = "1.10006") -> dict[str, Any]:
        """Have the desk buy at `ask`, its stop loss four pips below. Returns the newest trade at the broker."""
        self.price(bid, ask)
        for _ in range(MOST_ASKS):
            answer = self.desk.ask("open", {})
            if answer.startswith("200"):
                return dict(self.broker("GET", "/openTrades")["trades"][0])
            time.sleep(PAUSE_S)  # its ledger may just have been taken from it
        raise GroundError(f"The desk opened no position: {answer[:200]}.")

    def _control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        answer = self.desk.ground.control(method, path, body)
        if answer is None or not answer.is_success:
            raise GroundError(f"The broker did not take {method} {path}.")


@contextmanager
def provoking_place(ground: Ground, name: str, now: datetime) -> Iterator[Place]:
    """A desk on this ground for as long as the block runs, and a run of a target of this name that watches it."""
    with ground.desk((), trading=False, arguments=DESK) as desk:
        yield Place(desk, _watched(desk, name, now))


def _watched(desk: Desk, name: str, now: datetime) -> Run:
    """A run of gate 1 with one slot, at its end: until then nothing but the streams and the watch looks at the desk.

    They look several times a second. What slots find is raised by the same code, and here would only tell it again.
    """
    assert desk.process is not None  # noqa: S101  it was begun
    access = desk.access
    spec = {
        "ledger": {"url": access.ledger_url, "schema": access.ledger_schema},
        "broker": {"url": access.broker_url, "account": access.broker_account, "token": access.broker_token},
        "process": {"health": access.health_url, "log": str(desk.log)},
        "alerts": LIMITS,
    }
    pid = desk.process.pid
    target = Target.objects.create(name=name, spec=spec, created_at=now)
    campaign = Campaign.objects.create(target=target, profile="smoke", build="rehearsal of alerts", started_at=now)
    run = Run.objects.create(
        campaign=campaign,
        gate=1,
        plan=asdict(plan_for("smoke")),
        baseline={"pid": pid, "started_ticks": started_ticks(psutil.Process(pid))},
        planned_start=now,
        planned_end=now + WATCHED_FOR,
    )
    end = run.planned_end
    Slot.objects.create(run=run, check_name="health", window_start=now, window_end=end, due_at=end, grace_until=end)
    return run
