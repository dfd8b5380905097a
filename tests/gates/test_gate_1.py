"""Gate 1 for real: the whole portal as a user starts it, real desks at real brokers, and what kills them.

One stack for all; the desks run beside each other, since each run takes its profile's 20 s.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.gates.rehearsal.desk.processes import (
    TOKEN,
    BrokerProcess,
    DeskProcess,
    free_port,
    running_broker,
    running_desk,
    wait_until,
)
from tests.gates.rehearsal.desk.transactions import ACCOUNT
from tests.wartest_site.test_up import family, kill_family, until_ready
from wartest_site.stack import Services

ROOT = Path(__file__).parents[2]
RUN_LIMIT_S = 300


@dataclass
class Portal:
    """A running stack of our own."""

    home: Path
    process: subprocess.Popen[str]
    services: Services
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *argv: str, **env: str) -> subprocess.Popen[str]:
        unset = {"DATABASE_URL", "REDIS_URL", "WARTEST_REHEARSAL_JSON"}
        inherited = {key: value for key, value in os.environ.items() if key not in unset}
        process = subprocess.Popen(
            [sys.executable, *argv],
            cwd=ROOT,
            env=inherited | {"WARTEST_HOME": str(self.home)} | env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        return process

    def run(self, target: str) -> "Following":
        reports = self.home / "reports" / f"{target}-{len(self.started)}"
        argv = (
            "manage.py",
            "run_72_hour_test",
            "--target",
            target,
            "--profile",
            "smoke",
            "--reports-dir",
            str(reports),
        )
        return Following(self, target, self.start(*argv))

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.services.env["DATABASE_URL"]) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def add_target(self, name: str, spec: dict[str, Any]) -> None:
        with psycopg.connect(self.services.env["DATABASE_URL"]) as connection:
            connection.execute(
                "INSERT INTO gates_target (name, spec, created_at) VALUES (%s, %s, %s)",
                (name, json.dumps(spec), datetime.now(UTC)),
            )

    def kill(self, *words: str) -> None:
        """SIGKILL each child of `up` whose command line holds the words, with all that it started."""
        found = [child for child in psutil.Process(self.process.pid).children() if has_words(child, words)]
        assert found, f"nothing of ours runs with {words}"
        for child in found:
            kill_family(child.pid)


def has_words(process: psutil.Process, words: tuple[str, ...]) -> bool:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return all(word in line for word in words)


@dataclass
class Following:
    """One `run_72_hour_test` that goes on."""

    portal: Portal
    target: str
    process: subprocess.Popen[str]

    def wait_for_slots(self, least: int) -> None:
        query = """SELECT count(*) FROM gates_slot s JOIN gates_run r ON r.id = s.run_id
                   JOIN gates_campaign c ON c.id = r.campaign_id JOIN gates_target t ON t.id = c.target_id
                   WHERE t.name = %s AND r.state = 'running' AND s.state <> 'due'"""
        wait_until(
            lambda: self.process.poll() is not None or self.portal.rows(query, self.target)[0][0] >= least,
            what=f"{least} slots of {self.target} are done",
            limit_s=240,
        )

    def end(self) -> tuple[int, dict[str, Any]]:
        """Return exit code and report, whose slots add up."""
        said, complained = self.process.communicate(timeout=RUN_LIMIT_S)
        last = said.splitlines()[-1] if said else ""
        assert last.endswith(".json"), complained
        report = json.loads(Path(last).read_text())
        slots = report["slots"]
        assert slots["planned"] == 22 == slots["passed"] + slots["failed"] + slots["inconclusive"]
        return self.process.returncode, report


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {line["name"]: line["verdict"] for line in report["criteria"]}


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    home = tmp_path_factory.mktemp("portal") / "home"
    env = {"WARTEST_HOME": str(home), "REPORTS_DIR": str(home / "reports")}
    inherited = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
    up = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--no-campaign", "--port", str(free_port())],
        cwd=ROOT,
        env=inherited | env,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    found = None
    try:
        found = Portal(home, up, until_ready(up, home))
        yield found
    finally:
        up.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            up.wait(40)
        for process in [up, *(found.started if found else ())]:
            for left in family(process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
                    left.kill()
            process.communicate(timeout=10)


@dataclass
class OwnDesk:
    """A desk with a broker and a ledger of its own, known to the portal by its name."""

    name: str
    broker: BrokerProcess
    desk: DeskProcess
    again: Callable[[], contextlib.AbstractContextManager[DeskProcess]]


@contextlib.contextmanager
def own_desk(portal: Portal, name: str, *arguments: str) -> Iterator[OwnDesk]:
    server = portal.services.env["WARTEST_REHEARSAL_LEDGER_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    ledger, port = server.rpartition("/")[0] + f"/{name}", free_port()

    with running_broker() as broker:

        def desk() -> contextlib.AbstractContextManager[DeskProcess]:
            return running_desk(ledger, broker.url, *arguments, port=port)

        with desk() as first:
            wait_until(first.is_well, what=f"{name} is well")
            spec = {
                "ledger": {"url": ledger, "schema": "wartest"},
                "broker": {"url": broker.url, "account": ACCOUNT, "token": TOKEN},
                "process": {"health": f"http://127.0.0.1:{port}/health"},
            }
            portal.add_target(name, spec)
            yield OwnDesk(name, broker, first, desk)


@contextlib.contextmanager
def second_worker_and_beat(portal: Portal, folder: Path) -> Iterator[None]:
    celery, env = ("-m", "celery", "-A", "wartest_site"), portal.services.env
    queues = ("-Q", "tick,checks,reports", "-c", "2", "-n", "second", "--loglevel=ERROR")
    worker = portal.start(*celery, "worker", *queues, **env)
    schedule = ("--schedule", str(folder / "schedule"), "--pidfile=", "--loglevel=ERROR")
    beat = portal.start(*celery, "beat", *schedule, **env)
    try:
        yield
        for process in (worker, beat):
            assert process.poll() is None, process.communicate(timeout=10)[1][-2000:]
        claimed = {int(name.split(":")[1]) for (name,) in portal.rows("SELECT worker FROM gates_slot") if name}
        assert claimed & {child.pid for child in psutil.Process(worker.pid).children()}, "the second one took its share"
    finally:
        for process in (worker, beat):
            kill_family(process.pid)


def test_a_trading_desk_passes_and_a_calm_one_is_inconclusive_with_two_workers_and_two_beats(portal, tmp_path):
    with second_worker_and_beat(portal, tmp_path), own_desk(portal, "calm", "--no-trading"):
        runs = [portal.run("rehearsal"), portal.run("calm")]
        trading, calm = (run.end() for run in runs)
    _passes_on_evidence(*trading)
    _is_inconclusive_for_want_of_touches(*calm)


def test_withheld_stops_fail_by_name_and_a_killed_desk_fails_and_is_seen_to_return(portal):
    with own_desk(portal, "withheld") as withheld, own_desk(portal, "killed") as killed:
        withheld.broker.control("POST", "/faults", {"kind": "withhold_stops"})
        runs = [portal.run("withheld"), portal.run("killed")]
        runs[1].wait_for_slots(4)
        killed.desk.process.send_signal(signal.SIGKILL)
        killed.desk.process.wait(10)
        time.sleep(1.5)  # long enough for a tick to see that it is gone
        with killed.again():
            without_stops, dead = (run.end() for run in runs)
    _names_the_stops(*without_stops)
    _shows_death_and_return(portal, *dead)


def _passes_on_evidence(code: int, report: dict[str, Any]) -> None:
    assert (code, report["verdict"], set(verdicts(report).values())) == (0, "passed", {"passed"}), report["criteria"]
    assert report["findings"] == report["interventions"] == []
    assert [alert for alert in report["alerts"] if alert["level"] != "medium"] == [], "medium: a machine that is short"
    measured = {line["name"]: line["measured"] for line in report["criteria"]}
    executed, touched = measured["stops executed"].split(" executed")[0].split(" of ")
    assert executed == touched
    assert int(touched) >= 3
    assert measured["slots filled"] == "22 of 22, 0 holes", "each slot is filled, and once"


def _names_the_stops(code: int, report: dict[str, Any]) -> None:
    assert (code, report["verdict"]) == (1, "failed")
    assert verdicts(report)["stops executed"] == "failed"
    rules = {finding["check"]: finding for finding in report["findings"]}
    assert "stop touched, not executed" in rules
    assert rules["stop touched, not executed"]["where"].keys() >= {"order_id", "trade_id", "instrument"}
    failed = {name for name, verdict in verdicts(report).items() if verdict == "failed"}
    assert failed == {"stops executed", "critical errors"}, "a missed stop is a critical error, nothing else is accused"
    assert all("stop" in rule for rule in rules)


def _is_inconclusive_for_want_of_touches(code: int, report: dict[str, Any]) -> None:
    assert (code, report["verdict"]) == (3, "inconclusive")
    (stops,) = [line for line in report["criteria"] if line["name"] == "stops executed"]
    assert stops["measured"] == "0 of 0 executed"
    assert stops["reason"]
    assert {name for name, verdict in verdicts(report).items() if verdict != "passed"} == {"stops executed"}


def _shows_death_and_return(portal: Portal, code: int, report: dict[str, Any]) -> None:
    assert (code, report["verdict"]) == (1, "failed")
    assert verdicts(report)["critical errors"] == "failed"
    assert verdicts(report)["stops executed"] != "failed", "the broker executes stops whether the desk lives or not"
    rules = {finding["check"] for finding in report["findings"]}
    assert rules <= {"target does not answer", "target unhealthy", "another process", "ledger behind the broker"}
    assert "system crash" in {alert["rule"] for alert in report["alerts"]}
    log = dict(portal.rows("SELECT kind, sentence FROM gates_runevent WHERE run_id = %s", report["run"]))
    assert log["target died"].endswith("died.")
    assert log["target back"].startswith("The target answers again, as process ")


def test_killing_our_own_worker_and_beat_in_mid_run_does_not_change_the_verdict(portal):
    run = portal.run("rehearsal")
    run.wait_for_slots(3)
    portal.kill("celery", " worker ")
    portal.kill("celery", " beat ")
    _passes_on_evidence(*run.end())


def test_killing_web_valkey_and_postgres_in_mid_run_leaves_slots_that_add_up(portal):
    run = portal.run("rehearsal")
    for least, words in ((2, ("gunicorn",)), (4, ("valkey",)), (6, ("portal-postgres",))):
        run.wait_for_slots(least)
        portal.kill(*words)
    _accuses_nobody(portal, *run.end())


def _accuses_nobody(portal: Portal, code: int, report: dict[str, Any]) -> None:
    """Whatever we lost of our own is a hole, shown and counted; where we were back in time there is none."""
    holes = report["slots"]["holes"]
    assert report["slots"]["failed"] == 0
    assert report["findings"] == []
    assert (code, report["verdict"]) == ((3, "inconclusive") if holes else (0, "passed")), report["criteria"]
    results = "SELECT count(*) FROM gates_slotresult r JOIN gates_slot s ON s.id = r.slot_id WHERE s.run_id = %s"
    assert portal.rows(results, report["run"]) == [(22 - holes,)]
