"""A market that provokes alerts one after another: one broker simulator, an account and a run of gate 1 per target.

Each account holds two positions. The stop of the first is executed too late, that of the second not at all; both are
touched by prices that nobody else's stops are touched by, so that events come one by one.
"""

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import httpx
from django.utils import timezone

from gates.models import Campaign, Run, Stream, Target
from gates.plans import plan_for
from gates.targets.processes import ProcessSpec
from wartest_site.benchmarks.alerts_targets import Ground
from wartest_site.embedded.children import CannotStartError, free_port
from wartest_site.supervisor import Supervisor

INSTRUMENT = "EUR_USD"
SPREAD = Decimal("0.0002")
STEP = Decimal("0.0001")
BEFORE, LATE, NEVER = Decimal("1.1000"), Decimal("1.0900"), Decimal("1.0700")
STOP_LIMIT_S = 1
LATE_S = 0.15
READY_LIMIT_S = 120.0
PLAN = replace(plan_for("production"), stop_limit_s=STOP_LIMIT_S)


@dataclass(slots=True)
class Market:
    """The broker, its two doors, and how many accounts it has opened."""

    port: int
    token: str
    v3: httpx.Client
    control: httpx.Client
    accounts: int = 1

    def price(self, bid: Decimal) -> None:
        body = {"instrument": INSTRUMENT, "bid": str(bid), "ask": str(bid + SPREAD)}
        self.control.post("/ticks", json=body).raise_for_status()

    def withhold(self, on: bool) -> None:
        """Let touched stops be executed or not."""
        answer = self.control.post("/faults", json={"kind": "withhold_stops"}) if on else self.control.delete("/faults")
        answer.raise_for_status()

    def open_account(self, place: int) -> tuple[str, list[str]]:
        """Open an account; return its name and the trades of its two positions.

        `place` sets the prices of their stops apart from all others'.
        """
        trades = []
        self.accounts += 1
        account = f"101-001-0000001-{self.accounts:03d}"
        self.control.post("/accounts", json={"account_id": account, "balance": "100000"}).raise_for_status()
        for stop in (LATE, NEVER):
            limits = {"stopLossOnFill": {"price": str(stop - place * STEP)}}
            order = {"type": "MARKET", "instrument": INSTRUMENT, "units": "100", **limits}
            filled = self.v3.post(f"/accounts/{account}/orders", json={"order": order}).raise_for_status().json()
            trades.append(filled["orderFillTransaction"]["tradeOpened"]["tradeID"])
        return account, trades

    def fall(self, targets: int) -> list[datetime]:
        """Let the price touch every first stop, each executed too late, then every second one, never executed.

        Returns when each first one was executed.
        """
        executed = []
        for place in range(targets):
            self.withhold(True)
            self.price(LATE - place * STEP)
            time.sleep(LATE_S)
            self.withhold(False)
            self.price(LATE - place * STEP)
            executed.append(timezone.now())
        self.withhold(True)
        for place in range(targets):
            self.price(NEVER - place * STEP)
            time.sleep(LATE_S / 3)
        return executed


@contextmanager
def market(supervisor: Supervisor) -> Iterator[Market]:
    """A broker whose prices move by hand, for as long as the block runs. Raises CannotStartError."""
    port, control, token = free_port(), free_port(), secrets.token_urlsafe(16)
    argv = (sys.executable, "-m", "gates.rehearsal.broker", "--no-feed", "--streams", "1000")  # OANDA lets 20
    ports = ("--port", str(port), "--control-port", str(control))
    supervisor.start(ProcessSpec("broker", (*argv, *ports), {"BROKER_TOKEN": token}))
    headers = {"Authorization": f"Bearer {token}"}
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{port}/v3", headers=headers, timeout=10) as v3,
        httpx.Client(base_url=f"http://127.0.0.1:{control}", headers=headers, timeout=10) as doors,
    ):
        _await_health(doors)
        yield Market(port, token, v3, doors)


def _await_health(control: httpx.Client) -> None:
    ends = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < ends:
        try:
            if control.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise CannotStartError("the broker simulator did not answer in time")


def follow(place: Market, settled: Ground, targets: int) -> list[Run]:
    """Settle so many targets, each with an account and a running gate 1; wait until the streams of all are held."""
    place.withhold(False)
    place.price(BEFORE)
    now, made = timezone.now(), Target.objects.count()
    light = [settled.settle(*place.open_account(number)) for number in range(targets)]
    broker = f"http://127.0.0.1:{place.port}"
    rows = Target.objects.bulk_create(
        Target(name=f"desk-{made + number}", spec=each.spec(broker, place.token), created_at=now)
        for number, each in enumerate(light)
    )
    campaigns = Campaign.objects.bulk_create(
        Campaign(target=row, profile="production", build="bench", started_at=now) for row in rows
    )
    shape = {"gate": 1, "plan": asdict(PLAN), "planned_start": now, "planned_end": now + timedelta(days=3)}
    runs = Run.objects.bulk_create(
        Run(campaign=campaign, baseline=each.baseline, **shape) for campaign, each in zip(campaigns, light, strict=True)
    )
    _await_streams(runs)
    return runs


def _await_streams(runs: list[Run]) -> None:
    wanted = 2 * len(runs)
    held = Stream.objects.filter(run__in=[run.pk for run in runs], state=Stream.State.CONNECTED)
    ends = time.monotonic() + READY_LIMIT_S
    while held.count() < wanted:
        if time.monotonic() > ends:
            raise CannotStartError(f"only {held.count()} of {wanted} streams were held in time")
        time.sleep(0.2)


def leave(runs: list[Run]) -> None:
    """End the runs; nobody follows them any more."""
    Run.objects.filter(pk__in=[run.pk for run in runs]).update(
        state="closed", verdict="inconclusive", closed_at=timezone.now()
    )
