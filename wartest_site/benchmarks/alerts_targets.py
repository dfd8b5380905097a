"""Many light targets, real where the watch looks: a database each, a process each, a log and a health address each.

The books are the seven columns or so that the watch reads, seeded to be in order; the process is a shell that waits
and can be told to grow; health is answered by one server in the benchmark's own process. There is no desk that trades.
"""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from gates.checks.processes import started_ticks
from wartest_site.embedded.postgres import PostgresServer, running_postgres

A_SERVER = 50  # databases of one server, each watched by two connections
TEMPLATE = "bench_books"
GROWN_MIB, MOST_MIB = 48, 24
WELL_MS, SLOW_MS = 2.0, 400.0
GROW = f"""while read word; do x=$(head -c {GROWN_MIB * 2**20} /dev/zero | tr '\\0' x) && echo grown; done"""
BOOKS = """
    CREATE SCHEMA wartest;
    CREATE TABLE wartest.accounts (account_id text, balance numeric);
    CREATE TABLE wartest.balance_events (event_id text, account_id text, sequence bigint, balance_before numeric,
        amount numeric, balance_after numeric, recorded_at timestamptz DEFAULT now());
    CREATE TABLE wartest.reconciliations (reconciliation_id text, account_id text, started_at timestamptz,
        duration_ms numeric, mismatches int);
    CREATE TABLE wartest.positions (position_id text, account_id text, broker_trade_id text, status text,
        units_open numeric, realized_pnl numeric, opened_at timestamptz DEFAULT now());
    CREATE TABLE wartest.position_events (event_id text, position_id text, event_type text, payload jsonb);
"""


@dataclass(slots=True)
class LightTarget:
    """One target: where its books, its log and its process are, and what its health says."""

    number: int
    account: str
    ledger_url: str
    log: Path
    health_url: str
    process: "subprocess.Popen[bytes]"
    database_ms: float = WELL_MS

    def book(self, statement: str, *values: object) -> datetime:
        """Write to its books; returns when that was committed."""
        with psycopg.connect(self.ledger_url, autocommit=True) as books:
            books.execute(statement.encode(), values)
        return datetime.now(UTC)

    def spec(self, broker_url: str, token: str) -> dict[str, Any]:
        """How it is described: limits that let what is slow by nature happen within seconds."""
        limits = {
            "orphan_after_s": 1,
            "slow_query_ms": 300,
            "disk_pct": 100,
            "memory_pct": 100 * MOST_MIB * 2**20 / psutil.virtual_memory().total,
            "trend_window_s": 1,
            "warnings_chance": 0.01,
        }
        return {
            "ledger": {"url": self.ledger_url, "schema": "wartest"},
            "broker": {"url": broker_url, "account": self.account, "token": token},
            "process": {"health": self.health_url, "log": str(self.log)},
            "alerts": limits,
        }

    @property
    def baseline(self) -> dict[str, Any]:
        return {"pid": self.process.pid, "started_ticks": started_ticks(psutil.Process(self.process.pid))}


@dataclass(slots=True)
class Ground:
    """Where the targets of a benchmark live, and all that there were."""

    servers: list[PostgresServer]
    folder: Path
    health_port: int = 0
    targets: list[LightTarget] = field(default_factory=list)

    def settle(self, account: str, trade_ids: list[str]) -> LightTarget:
        """Return a new target whose books hold this account and these trades, and are in order."""
        number = len(self.targets)
        url = self._database(number)
        log = self.folder / f"{number}.log"
        log.write_text("begun\n")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(["/bin/sh", "-c", GROW], **pipes)  # type: ignore[call-overload] # noqa: S603 - argv is ours
        health = f"http://127.0.0.1:{self.health_port}/{number}"
        target = LightTarget(number, account, url, log, health, process)
        self.targets.append(target)
        _seed(target, trade_ids)
        return target

    def _database(self, number: int) -> str:
        server = self.servers[number // A_SERVER % len(self.servers)]
        name = f"books_{number}"
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, TEMPLATE))))
        return server.url(name)

    def end(self) -> None:
        """End the processes of all targets."""
        for target in self.targets:
            for pipe in (target.process.stdin, target.process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            target.process.kill()
            target.process.wait(10)


def _seed(target: LightTarget, trade_ids: list[str]) -> None:
    with psycopg.connect(target.ledger_url, autocommit=True) as books:
        books.execute("INSERT INTO wartest.accounts VALUES (%s, 100000)", [target.account])
        first = "INSERT INTO wartest.balance_events VALUES ('1', %s, 1, 0, 100000, 100000)"
        books.execute(first, [target.account])
        for trade_id in trade_ids:
            held = "INSERT INTO wartest.positions VALUES (%s, %s, %s, 'open', 100, 0)"
            books.execute(held, [trade_id, target.account, trade_id])
            told = "INSERT INTO wartest.position_events VALUES (%s, %s, 'ORDER_FILLED', %s)"
            books.execute(told, [trade_id, trade_id, json.dumps({"units": "100"})])


@contextmanager
def ground(folder: Path, targets: int) -> Iterator[Ground]:
    """Servers for so many targets, and the one that answers for their health, for as long as the block runs."""
    count = -(-targets // A_SERVER)
    with _servers(folder, count) as servers:
        place = Ground(servers, folder)
        health = ThreadingHTTPServer(("127.0.0.1", 0), _answers(place))
        place.health_port = health.server_address[1]
        threading.Thread(target=health.serve_forever, daemon=True).start()
        try:
            yield place
        finally:
            place.end()
            health.shutdown()
            health.server_close()


@contextmanager
def _servers(folder: Path, count: int, begun: tuple[PostgresServer, ...] = ()) -> Iterator[list[PostgresServer]]:
    if len(begun) == count:
        yield list(begun)
        return
    with running_postgres(folder / f"books-{len(begun)}", durable=False) as server:
        with psycopg.connect(server.create_database(TEMPLATE), autocommit=True) as books:
            books.execute(BOOKS)
        with _servers(folder, count, (*begun, server)) as servers:
            yield servers


def _answers(place: Ground) -> type[BaseHTTPRequestHandler]:
    """Says of each target that it is well, and how fast its database is: as fast as the benchmark wants it to be."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = place.targets[int(self.path.strip("/"))]
            told = {"status": "ok", "pid": target.process.pid, "build": "bench", "broker_ms": WELL_MS}
            content = json.dumps(told | {"database_ms": target.database_ms}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Health
