"""How fast a ledger is read and judged, beside the time that reading alone must take, and beside bookkeepers' tools.

The ledger holds `--scale` balance events and everything else in proportion, about 2.8 rows for each, all correct.
Measured, one after the other on the same server: the floor (the same rows by `COPY … TO STDOUT`, thrown away, on as
many connections as the snapshot uses), the snapshot, all checks over its files in a process of their own, the peak
memory of both, and, where installed, `bean-check` and `hledger check` on 100,000 balance events of the same books.
`events_per_s` counts balance events against the checks, from sealed files to verdicts, as the tools start from a file;
with the snapshot it is `read_and_checked_events_per_s`. Figures in `_cpu_s` are processor time, of server and client
together: they hold where others use the machine meanwhile. Not measured: a network, and a broker asked over HTTP.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import psycopg

from audits.contract import BROKER_RELATIONS, RELATIONS
from wartest_site.benchmarks import Figures, Say
from wartest_site.benchmarks.audit_books import build_books
from wartest_site.benchmarks.audit_peers import PEERS, entries_per_s
from wartest_site.embedded.children import CannotStartError
from wartest_site.embedded.postgres import BINARIES, PostgresServer, running_postgres

SCALE = 1_000_000
CONNECTIONS = 2
ROUNDS = 3
LARGE = 3_000_000  # above it, one round
CHILD_LIMIT_S = 3600


def measure(scale: int, say: Say) -> Figures:
    """Build the books, then measure; medians of three rounds up to three million balance events, of one above."""
    with (
        tempfile.TemporaryDirectory(prefix="wartest-bench-") as folder,
        running_postgres(Path(folder) / "postgres") as server,
    ):
        url = server.create_database("ledger")
        say(f"building books of {scale:,} balance events")
        with psycopg.connect(url) as connection:
            rows, events = build_books(connection, scale)
        figures: Figures = {"rows": rows}
        rounds = [_round(server, url, Path(folder) / f"round{number}", say) for number in range(_rounds(scale))]
        for name in ("floor_s", "snapshot_s", "checks_s", "floor_cpu_s", "snapshot_cpu_s", "checks_cpu_s"):
            figures[name] = round(median(each[name] for each in rounds), 3)
        figures["snapshot_over_floor"] = round(median(each["snapshot_s"] / each["floor_s"] for each in rounds), 3)
        figures["checks_over_snapshot"] = round(median(each["checks_s"] / each["snapshot_s"] for each in rounds), 3)
        figures["peak_rss_mib"] = max(each["peak_rss_mib"] for each in rounds)
        figures["events_per_s"] = round(events / figures["checks_s"])
        figures["read_and_checked_events_per_s"] = round(events / (figures["checks_s"] + figures["snapshot_s"]))
        figures |= {name: value for name, value in rounds[-1].items() if name.startswith("check_")}
        snapshot = Path(folder) / f"round{_rounds(scale) - 1}"
        for name in PEERS:
            rate = entries_per_s(name, snapshot, Path(folder), say)
            if rate is not None:
                figures[f"{name}_entries_per_s"] = rate
                figures[f"events_per_s_over_{name}"] = round(figures["events_per_s"] / rate, 1)
    return figures


def _rounds(scale: int) -> int:
    return 1 if scale > LARGE else ROUNDS


def _round(server: PostgresServer, url: str, directory: Path, say: Say) -> dict[str, float]:
    say("reading it all and throwing it away")
    cpu_s = [_server_cpu_s(server) + _children_cpu_s()]
    floor_s = _floor(url)
    cpu_s.append(_server_cpu_s(server) + _children_cpu_s())
    say(f"floor {floor_s:.2f} s; taking a snapshot")
    cpu_s.append(_server_cpu_s(server))
    taken = _child("snapshot", url, directory)
    cpu_s.append(_server_cpu_s(server) + taken.pop("cpu_s"))
    say(f"snapshot {taken['snapshot_s']:.2f} s, {taken['peak_rss_mib']:.0f} MiB; judging it")
    judged = _child("judge", "", directory)
    say(f"checks {judged['checks_s']:.2f} s, {judged['peak_rss_mib']:.0f} MiB")
    for wrong in judged.pop("not_passed"):
        say(f"not passed: {wrong}")
    spent = {
        "floor_cpu_s": round(cpu_s[1] - cpu_s[0], 2),
        "snapshot_cpu_s": round(cpu_s[3] - cpu_s[2], 2),
        "checks_cpu_s": round(judged.pop("cpu_s"), 2),
    }
    return {
        "floor_s": floor_s,
        **spent,
        **taken,
        **judged,
        "peak_rss_mib": max(taken["peak_rss_mib"], judged["peak_rss_mib"]),
    }


def _server_cpu_s(server: PostgresServer) -> float:
    """What the server has spent so far, its ended connections included."""
    postmaster = psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))
    spent = sum(postmaster.cpu_times()[:4])
    for child in postmaster.children():
        with suppress(psutil.Error):
            spent += sum(child.cpu_times()[:2])
    return spent


def _children_cpu_s() -> float:
    """What our own ended children have spent so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _floor(url: str) -> float:
    """Copy every relation to nowhere with psql, the widest first, two at a time."""

    def copy(relation: str) -> None:
        subprocess.run(  # noqa: S603 - argv is ours
            [str(BINARIES / "psql"), url, "-qc", f"COPY wartest.{relation} TO STDOUT"],
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=CHILD_LIMIT_S,
        )

    first = ("balance_events", "broker_transactions", "position_events")
    others = [relation.name for relation in (*RELATIONS, *BROKER_RELATIONS) if relation.name not in first]
    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(copy, (*first, *others)))
    return round(time.perf_counter() - began, 3)


def _child(step: str, url: str, directory: Path) -> dict[str, Any]:
    """Run one step in a process of its own, so that its peak memory is its own; return what it measured."""
    done = subprocess.run(  # noqa: S603 - argv is ours
        [sys.executable, "-m", "wartest_site.benchmarks.audit_steps", step, str(directory)],
        input=url,
        capture_output=True,
        text=True,
        check=False,
        timeout=CHILD_LIMIT_S,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise CannotStartError(f"The {step} of the benchmark failed: {said[-1]}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured
