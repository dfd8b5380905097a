"""All thirteen rules provoked on each target, one after another; each provocation says when the event was.

Real: the market's two, by prices and fills of the broker's; an orphan, by a stop that the broker executes and the
books never learn of; a killed process; one that grows; a session ended by force; a query that is slow; lines in a log;
rows in the books. Where a rule waits by its nature (an orphan for its limit, a query until it is slow, a speed for two
windows), the event is the end of that wait, as for a stop that is never executed. Health that tells of a slow database
is told so, and is not slow.
"""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg

from gates.models import RuleWatch, Run
from wartest_site.benchmarks.alerts_market import Market
from wartest_site.benchmarks.alerts_targets import SLOW_MS, LightTarget
from wartest_site.embedded.children import CannotStartError

Moments = dict[tuple[int, str], datetime | None]  # (run, rule) → when, None where the alert's own moment counts
APART_S = 0.05
WARM_LIMIT_S = 150.0
ORPHAN, SLOW_QUERY, TWO_WINDOWS = timedelta(seconds=1), timedelta(milliseconds=300), timedelta(seconds=2)
LONG_QUERY_S = 6
TRENDS = ("warning count rising", "performance degradation")
MARKET = ("missed SL/TP trigger", "SL/TP latency > 100 ms")


def provoke(place: Market, runs: list[Run], targets: list[LightTarget]) -> Moments:
    """Provoke everything on every target. Returns when each event was, by run and rule."""
    moments: Moments = {(run.pk, rule): None for run in runs for rule in MARKET}
    for run, filled in zip(runs, place.fall(len(targets)), strict=True):
        moments[run.pk, "orphaned position"] = filled + ORPHAN
    slow: list[psycopg.Connection] = []
    steps: dict[str, Callable[[LightTarget], datetime]] = {
        "balance equation violation": _unbalance,
        "reconciliation mismatch": lambda target: _reconcile(target, mismatches=1, duration_ms=20),
        "reconciliation latency > 1 s": lambda target: _reconcile(target, mismatches=0, duration_ms=2500),
        "event replay failure": _change_untold,
        "database connection issues": _end_a_session,
        "slow queries": lambda target: _ask_slowly(target, slow),
        "warning count rising": _warn,
        "performance degradation": _slow_down,
        "resource use > 80 %": _grow,
        "system crash": _kill,
    }
    for rule, step in steps.items():
        for run, target in zip(runs, targets, strict=True):
            moments[run.pk, rule] = step(target)
            time.sleep(APART_S)
    for connection in slow:
        connection.close()
    return moments


def _unbalance(target: LightTarget) -> datetime:
    return target.book("INSERT INTO wartest.balance_events VALUES ('2', %s, 2, 100000, 5, 100006)", target.account)


def _reconcile(target: LightTarget, *, mismatches: int, duration_ms: int) -> datetime:
    row = "INSERT INTO wartest.reconciliations VALUES (gen_random_uuid()::text, %s, clock_timestamp(), %s, %s)"
    return target.book(row, target.account, duration_ms, mismatches)


def _change_untold(target: LightTarget) -> datetime:
    return target.book("UPDATE wartest.positions SET units_open = 99 WHERE account_id = %s", target.account)


def _end_a_session(target: LightTarget) -> datetime:
    with psycopg.connect(target.ledger_url) as victim:
        return target.book("SELECT pg_terminate_backend(%s, 5000)", victim.info.backend_pid)


def _ask_slowly(target: LightTarget, held: list[psycopg.Connection]) -> datetime:
    connection = psycopg.connect(target.ledger_url, autocommit=True)
    held.append(connection)
    connection.pgconn.send_query(f"SELECT pg_sleep({LONG_QUERY_S})".encode())
    connection.pgconn.flush()
    return datetime.now(UTC) + SLOW_QUERY


def _warn(target: LightTarget) -> datetime:
    with target.log.open("a") as log:
        log.write("WARNING of the benchmark\n" * 50)
    return datetime.now(UTC)


def _slow_down(target: LightTarget) -> datetime:
    target.database_ms = SLOW_MS
    return datetime.now(UTC) + TWO_WINDOWS


def _grow(target: LightTarget) -> datetime:
    if target.process.stdin is None or target.process.stdout is None:
        raise CannotStartError("the process of a target has no pipes")
    target.process.stdin.write(b"grow\n")
    target.process.stdin.flush()
    target.process.stdout.readline()
    return datetime.now(UTC)


def _kill(target: LightTarget) -> datetime:
    os.kill(target.process.pid, signal.SIGKILL)
    return datetime.now(UTC)


def await_warm(runs: list[Run]) -> None:
    """Wait until the rules that compare with earlier behaviour have seen enough of it. Raises CannotStartError."""
    ends, wanted = time.monotonic() + WARM_LIMIT_S, len(runs) * len(TRENDS)
    known = RuleWatch.objects.filter(run__in=[run.pk for run in runs], rule__in=TRENDS, state=RuleWatch.State.CLEAN)
    while (found := known.count()) < wanted:
        if time.monotonic() > ends:
            raise CannotStartError(f"only {found} of {wanted} trends knew enough of the past in time")
        time.sleep(0.5)
