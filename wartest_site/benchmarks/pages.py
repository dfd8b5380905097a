"""How long the server takes for the pages that people keep open, when the portal has been used for a year.

The database holds `--scale` slots with their results: production runs of 72 h (9,144 slots each), all closed but the
newest, which is half way through; every page is asked of the real web server over loopback, signed in, one request
after another. Measured: from the request's first byte to the answer's last. Not measured: the network, the browser,
many people at once.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import httpx
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from gates import engine
from gates.models import Campaign, Run, RunEvent, Target
from gates.plans import plan_for
from wartest_site.benchmarks import Figures, Say
from wartest_site.benchmarks.premises import Portal, own_portal
from wartest_site.embedded.children import CannotStartError, free_port, last_lines, start_child, stop_child
from wartest_site.environment import BASE_DIR
from wartest_site.launch import web_process

SCALE = 1_000_000
REQUESTS = 200
WARM_UP = 20
ASKING_LIMIT_S = 20.0  # a page that is slow is asked less often
READY_LIMIT_S = 30.0
BETWEEN_RUNS = timedelta(hours=73)

MEASURED = {
    "health": """{"pid": 4242, "cpu_s": 0.5, "build": "sha256:5f1c", "status": "ok", "handles": 22, "threads": 6,
        "answer_ms": 4.1, "broker_ms": 2.5, "created_at": 1764123456.1, "memory_mib": 61.5, "database_ms": 0.9,
        "status_code": 200, "open_positions": 3}""",
    "stops": """{"live": 4, "touches": 1, "executed": 1, "prices_seen": 60, "latencies_ms": [12], "latency_max_ms": 12,
        "slippage_worst_pips": "0.1"}""",
    "positions": """{"checks": [{"name": "positions", "rows": 12, "verdict": "passed", "findings": 0}],
        "margin_used": "12.5000", "broker_balance": "100012.2500", "broker_open_trades": 3}""",
    "integrity": """{"checks": [{"name": "balance_row", "rows": 60, "verdict": "passed", "findings": 0}],
        "margin_used": "12.5000", "broker_balance": "100012.2500", "broker_open_trades": 3}""",
}


def measure(scale: int, say: Say) -> Figures:
    """Fill a portal with `scale` slots, ask for each page up to 200 times, return p50 and p95 in ms."""
    with own_portal() as portal:
        say("collecting static files")
        portal.manage("collectstatic", "--noinput", "--verbosity=0")
        say(f"filling the portal with {scale:,} slots")
        run = _fill(scale, timezone.now())
        say("asking for pages")
        with _web(portal) as client:
            pages = {
                "dashboard": "/",
                "run": run.get_absolute_url(),
                "run_live": f"{run.get_absolute_url()}live?since=-1",
                "curves": f"{run.get_absolute_url()}curves.json",
                "quiet_poll": f"{run.get_absolute_url()}live?since={run.cursor}",
            }
            figures: Figures = {"slots": scale}
            for name, address in pages.items():
                took_ms = _ask_again_and_again(client, address)
                figures[f"{name}_p50_ms"] = round(median(took_ms), 2)
                figures[f"{name}_p95_ms"] = round(quantiles(took_ms, n=20)[-1], 2)
                say(f"{address} p50 {figures[f'{name}_p50_ms']} ms, p95 {figures[f'{name}_p95_ms']} ms")
            return figures


def _ask_again_and_again(client: httpx.Client, address: str) -> list[float]:
    """Return how long each request took, in ms, without the first that warm up."""
    for _ in range(WARM_UP):
        _ask_ms(client, address)
    took_ms: list[float] = []
    ends = time.monotonic() + ASKING_LIMIT_S
    while len(took_ms) < REQUESTS and (time.monotonic() < ends or len(took_ms) < WARM_UP):
        took_ms.append(_ask_ms(client, address))
    return took_ms


def _ask_ms(client: httpx.Client, address: str) -> float:
    began = time.perf_counter()
    answer = client.get(address)
    took_ms = (time.perf_counter() - began) * 1000
    if answer.status_code not in {200, 204}:
        raise CannotStartError(f"{address} answered {answer.status_code}, so there is nothing to measure")
    return took_ms


def _fill(scale: int, now: datetime) -> Run:
    """Cut one run with the engine, half way through at `now`; copy its slots into the past until there are enough."""
    plan = plan_for("production")
    target = Target.objects.create(name="desk", spec={}, created_at=now)
    newest: Run | None = None
    planned = 0
    while planned < scale or newest is None:
        number = planned // 9_144
        start = now - timedelta(hours=36) - number * BETWEEN_RUNS
        campaign = Campaign.objects.create(target=target, profile="production", build="sha256:5f1c", started_at=start)
        run = Run.objects.create(
            campaign=campaign,
            gate=1,
            plan=asdict(plan),
            planned_start=start,
            planned_end=start + timedelta(hours=72),
            cursor=number,
        )
        RunEvent.objects.create(run=run, at=start, kind=RunEvent.Kind.STARTED, sentence="Run of desk started.")
        if newest is None:
            newest, planned = run, engine.cut(run, plan)
        else:
            planned += _copy_slots(newest, run, newest.planned_start - start)
    _judge(newest, now)
    return newest


def _copy_slots(source: Run, run: Run, age: timedelta) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO gates_slot (run_id, check_name, window_start, window_end, due_at, grace_until, state, attempt,"
            " worker) SELECT %s, check_name, window_start - age, window_end - age, due_at - age, grace_until - age,"
            " 'due', 0, '' FROM gates_slot, make_interval(secs => %s) age WHERE run_id = %s",
            [run.pk, age.total_seconds(), source.pk],
        )
        return cursor.rowcount


def _judge(newest: Run, now: datetime) -> None:
    """Let every slot that is due have passed with a result, and close every run but the newest."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE gates_slot SET state = 'done', verdict = 'passed', attempt = 1, worker = 'host:1'"
            " WHERE due_at <= %s",
            [now],
        )
        for check, measured in MEASURED.items():
            cursor.execute(
                "INSERT INTO gates_slotresult (slot_id, attempt, verdict, reason, measured, started_at, finished_at)"
                " SELECT id, 1, 'passed', '', %s::jsonb, due_at, due_at + interval '31 ms' FROM gates_slot"
                " WHERE state = 'done' AND check_name = %s",
                [measured, check],
            )
    closed = Run.objects.exclude(pk=newest.pk)
    closed.update(state=Run.State.CLOSED, verdict="passed", closed_at=now)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # what autovacuum has done long before a year has passed


@contextmanager
def _web(portal: Portal) -> Iterator[httpx.Client]:
    """The web server as `up` starts it, and a signed-in client of it."""
    session = Client()
    session.force_login(User.objects.create_user("reader"))
    cookies = {name: morsel.value for name, morsel in session.cookies.items()}
    port = free_port()
    log_file = portal.home / "web.log"
    spec = web_process(port, portal.env)
    with log_file.open("ab") as log:
        process = start_child(spec, log=log, cwd=Path(BASE_DIR))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=cookies, timeout=60) as client:
            _wait_until_it_answers(client)
            yield client
    except httpx.HTTPError as error:
        raise CannotStartError(f"the web server did not answer ({error}): {last_lines(log_file)}") from error
    finally:
        stop_child(process, spec.stop_signal, limit_s=10)


def _wait_until_it_answers(client: httpx.Client) -> None:
    deadline = time.monotonic() + READY_LIMIT_S
    while True:
        try:
            client.get("/healthz")
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
