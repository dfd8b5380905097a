"""The stage in a test: the simulator, a desk on the account that poses as live, and a month that is stepped."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from django.utils import timezone

from gates import commands, engine, reports, stepping
from gates.live_capital import auditing, months
from gates.live_capital.plans import LivePlan
from gates.models import Report, Run, Target
from gates.plans import Cadence
from gates.targets.access import REHEARSAL_SPEC
from gates.targets.rehearsal import (
    LIVE_ACCOUNT,
    TOKEN_ENV,
    RehearsalPorts,
    live_desk,
    rehearsal_description,
    rehearsal_processes,
)
from tests.gates.rehearsal.desk.processes import ROOT, end, free_port, wait_until

TOKEN = "staged-token-9f1c2e77b0"
LIMIT_S = 240
SHORT = LivePlan(
    "smoke",
    day_s=10,
    days=2,
    audit_days=1,
    audit_grace_s=180,
    min_touches=1,
    min_trades=1,
    stop_limit_s=3,
    most_months=1,
    cadences=(
        Cadence("health", every_s=10, delay_s=0, grace_s=180),
        Cadence("limits", every_s=5, delay_s=1, grace_s=180),
        Cadence("hands", every_s=5, delay_s=3, grace_s=180),
        Cadence("stops", every_s=5, delay_s=5, grace_s=180),
        Cadence("books", every_s=10, delay_s=0, grace_s=180),
        Cadence("performance", every_s=10, delay_s=0, grace_s=180),
    ),
)


@dataclass
class Stage:
    """What stands on it, and how a person would reach in."""

    description: dict[str, str]
    target: Target
    done: list[str] = field(default_factory=list)

    def control(self, method: str, path: str, body: Any = None) -> None:
        self._ask(method, self.description["control_url"] + path, body)

    def order(self, units: str, instrument: str = "EUR_USD") -> None:
        body = {"order": {"type": "MARKET", "instrument": instrument, "units": units}}
        self._ask("POST", f"{self.description['broker_url']}/v3/accounts/{LIVE_ACCOUNT}/orders", body)

    def _ask(self, method: str, url: str, body: Any) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        httpx.request(method, url, json=body, headers=headers, trust_env=False, timeout=20).raise_for_status()


@contextmanager
def staged(server: Any, folder: Any, patch: Any) -> Iterator[Stage]:
    """Start the simulator and the desk of its live account, and register the rehearsal target."""
    ports = RehearsalPorts(free_port(), free_port(), free_port(), free_port())
    ledger_url = server.create_database(f"live_desk_{time.time_ns()}")
    description = rehearsal_description(ports, ledger_url, ledger_url)
    patch.setenv(TOKEN_ENV, TOKEN)
    patch.setenv("WARTEST_REHEARSAL_JSON", json.dumps(description))
    broker, _ = rehearsal_processes(folder, ports, "", TOKEN)
    processes = []
    try:
        for spec in (broker, live_desk(ports, ledger_url, TOKEN)):
            processes.append(subprocess.Popen(spec.argv, cwd=ROOT, env={**os.environ, **spec.env}))
        address = f"{description['live_desk_url']}/health"
        wait_until(lambda: _status(address) == 200, what="the live desk is well", limit_s=120)
        target, _ = Target.objects.get_or_create(
            name="rehearsal", defaults={"spec": REHEARSAL_SPEC, "created_at": timezone.now()}
        )
        yield Stage(description, target)
    finally:
        for process in reversed(processes):
            end(process)


def stepped(run: Run, *, when: Any = None) -> Report:
    """Do in this process what ticks and workers do, until the month is closed; `when(run)` looks in between."""
    ends = time.monotonic() + LIMIT_S
    while time.monotonic() < ends:
        now = timezone.now()
        for slot_id in engine.own_process(now):
            slot = engine.claim(slot_id, worker="test", now=now)
            if slot is not None:
                auditing.carry_out(slot)
        stepping.step_for(0.5, worker="test")
        months.close_broken(timezone.now())
        engine.close_holes(timezone.now())
        if when is not None:
            when(run)
        if commands.close_run(run.pk, timezone.now()) is not None:
            return reports.write(run.pk, timezone.now())
        time.sleep(0.1)
    raise AssertionError("the month did not close")


def _status(url: str) -> int:
    try:
        return httpx.get(url, trust_env=False, timeout=5).status_code
    except httpx.HTTPError:
        return 0
