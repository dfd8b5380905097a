"""A real desk at a real broker with a real ledger, watched by the stream process, for what is provoked there."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.db import connection
from django.utils import timezone

from gates.checks.processes import started_ticks
from gates.models import Alert, Campaign, RuleWatch, Run, Target
from gates.plans import plan_for
from tests.gates.rehearsal.desk.processes import (
    ROOT,
    TOKEN,
    BrokerProcess,
    DeskProcess,
    end,
    free_port,
    running_broker,
    wait_until,
)
from tests.gates.rehearsal.desk.transactions import ACCOUNT
from wartest_site.embedded.postgres import PostgresServer

LIMITS = {
    "orphan_after_s": 0.5,
    "silent_after_s": 3,
    "slow_query_ms": 400,
    "cpu_pct": 15,
    "resource_for_s": 0.6,
    "trend_window_s": 1.5,
    "warnings_chance": 0.05,
    "warnings_least": 2,
}


@dataclass
class Provoked:
    """What the tests provoke things on, and what became of them."""

    broker: BrokerProcess
    desk: DeskProcess
    ledger_url: str
    log: Path
    run: Run
    start_desk: Callable[[], DeskProcess]

    def sql(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.ledger_url, autocommit=True) as ledger:
            ledger.execute(statement.encode(), values)

    def alerts(self, rule: str) -> list[Alert]:
        return list(Alert.objects.filter(run=self.run, rule=rule))

    def raised(self, rule: str, count: int = 1) -> Alert:
        """Await the alert of the rule, counted at least so often; what was over in a moment may be resolved by now."""

        def found() -> Alert | None:
            return Alert.objects.filter(run=self.run, rule=rule, count__gte=count).first()

        alert: Alert = wait_until(found, what=f"{rule} is raised {count} times")
        took_s = (alert.raised_at - alert.event_at) / timedelta(seconds=1)
        sys.stdout.write(f"\n{rule}: raised {took_s:.3f} s after it happened: {alert.sentence}\n")
        return alert

    def resolved(self, alert: Alert) -> Alert:
        """Await that a clean look has resolved it, and that there was never another one."""

        def found() -> Alert | None:
            return Alert.objects.filter(pk=alert.pk, state=Alert.State.RESOLVED).first()

        done: Alert = wait_until(found, what=f"{alert.rule} is resolved; {self.says(alert.rule)}")
        assert [one.pk for one in self.alerts(alert.rule)] == [alert.pk]
        assert done.recheck
        assert done.rechecked_at is not None
        assert done.rechecked_at > done.last_at
        return done

    def says(self, rule: str) -> str:
        return ", ".join(f"{row.state}: {row.words}" for row in RuleWatch.objects.filter(run=self.run, rule=rule))

    def price(self, bid: str, ask: str) -> None:
        self.broker.control("POST", "/ticks", {"instrument": "EUR_USD", "bid": bid, "ask": ask})

    def open(self) -> dict[str, Any]:
        """Have the desk buy at 1.10006, with its stop loss four pips below; return the trade at the broker."""
        self.price("1.09994", "1.10006")
        wait_until(lambda: self.desk.ask("open").status_code == 200, what="the desk opens a position")
        return dict(self.broker.get("/openTrades")["trades"][0])


@contextlib.contextmanager
def provoking(server: PostgresServer, folder: Path) -> Iterator[Provoked]:
    """Start everything, and one run of it that goes on; the caller lets the test database be used."""
    ledger_url, port, log = server.create_database("provoked"), free_port(), folder / "desk.log"
    desks: list[DeskProcess] = []
    with running_broker("--no-feed") as broker:

        def start_desk() -> DeskProcess:
            desks.append(_desk(ledger_url, broker.url, port, log))
            wait_until(desks[-1].is_well, what="the desk is well")
            return desks[-1]

        streams = None
        try:
            desk = start_desk()
            run = _a_watched_run(ledger_url, broker, desk, log)
            streams = _streams(server)
            provoked = Provoked(broker, desk, ledger_url, log, run, start_desk)
            wait_until(lambda: RuleWatch.objects.filter(run=run).count() == 13, what="the run is watched")
            yield provoked
        finally:
            for process in [*(desk.process for desk in desks), *([streams] if streams else [])]:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                end(process)


def _desk(ledger_url: str, broker_url: str, port: int, log: Path) -> DeskProcess:
    argv = (sys.executable, "-m", "gates.rehearsal.desk", "--port", str(port), "--no-trading")
    addresses = {"DATABASE_URL": ledger_url, "OANDA_URL": broker_url, "OANDA_TOKEN": TOKEN}
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*argv, "--reconcile-every-s", "0.5"],
            cwd=ROOT,
            env={**os.environ, **addresses, "OANDA_ACCOUNT_ID": ACCOUNT},
            stderr=file,
        )
    return DeskProcess(process, port)


def _a_watched_run(ledger_url: str, broker: BrokerProcess, desk: DeskProcess, log: Path) -> Run:
    spec = {
        "ledger": {"url": ledger_url, "schema": "wartest"},
        "broker": {"url": broker.url, "account": ACCOUNT, "token": TOKEN},
        "process": {"health": f"http://127.0.0.1:{desk.port}/health", "log": str(log)},
        "alerts": LIMITS,
    }
    now, plan, pid = timezone.now(), plan_for("smoke"), desk.process.pid
    target = Target.objects.create(name="provoked", spec=spec, created_at=now)
    campaign = Campaign.objects.create(target=target, profile="smoke", build="sha256:0", started_at=now)
    return Run.objects.create(
        campaign=campaign,
        gate=1,
        plan=asdict(plan),
        baseline={"pid": pid, "started_ticks": started_ticks(psutil.Process(pid))},
        planned_start=now,
        planned_end=now + timedelta(hours=1),
    )


def _streams(server: PostgresServer) -> "subprocess.Popen[bytes]":
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "wartest_site.settings",
        "DATABASE_URL": server.url(connection.settings_dict["NAME"]),
    }
    return subprocess.Popen([sys.executable, "-m", "gates.streams"], cwd=ROOT, env=env)


def while_busy(desk: DeskProcess, done: Callable[[], Any]) -> Any:
    """Ask the desk for nothing again and again, as fast as it answers, until it is done."""
    ends = time.monotonic() + 60
    request = b"GET /nothing HTTP/1.1\r\nHost: desk\r\n\r\n"
    with socket.create_connection(("127.0.0.1", desk.port), timeout=30) as line:
        while time.monotonic() < ends:
            for _ in range(200):
                line.sendall(request)
                assert line.recv(65536)
            if found := done():
                return found
    raise AssertionError("the desk was never seen to be busy")
