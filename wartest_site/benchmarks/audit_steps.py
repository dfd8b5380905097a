"""One step of the audit's benchmark, in a process of its own: `snapshot` or `judge`, then its figures as JSON."""

import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audits.contract import BROKER_RELATIONS, RELATIONS
from audits.judge import judge
from audits.snapshot import MANIFEST, take_snapshot
from audits.sources.postgres import PostgresLedger
from audits.tie import Tie
from audits.verdicts import Verdict

MAX_AGE_S = 3600.0


def snapshot(url: str, directory: Path) -> dict[str, Any]:
    """Take a snapshot of ledger and broker records, which both lie in the database here, at one moment."""
    began, began_cpu = time.perf_counter(), time.process_time()
    ledger = PostgresLedger(url, max_age_s=MAX_AGE_S, statement_timeout_s=MAX_AGE_S)
    take_snapshot(ledger, None, directory, relations=(*RELATIONS, *BROKER_RELATIONS))
    took_s, took_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    manifest = json.loads((directory / MANIFEST).read_text())
    tied = {"broker": "books of a benchmark", "tied": True, "tie": asdict(Tie(True, "", (), False, 0.0))}
    (directory / MANIFEST).write_text(json.dumps(manifest | tied))
    return {"snapshot_s": round(took_s, 3), "cpu_s": took_cpu_s}


def judge_it(directory: Path) -> dict[str, Any]:
    """Compare the seals and run all checks."""
    began, began_cpu = time.perf_counter(), time.process_time()
    judgement = judge(directory)
    took_s, took_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    each = {f"check_{result.name}_s": round(result.duration_s, 3) for result in judgement.results}
    not_passed = [
        f"{result.name} {result.verdict}: {result.reason or result.findings[0].sentence}"
        for result in judgement.results
        if result.verdict is not Verdict.PASSED
    ]
    return {"checks_s": round(took_s, 3), "cpu_s": took_cpu_s, "not_passed": not_passed, **each}


def main() -> None:
    """Read the ledger's address from standard input: it holds a password."""
    step, directory = sys.argv[1], Path(sys.argv[2])
    figures = snapshot(sys.stdin.read(), directory) if step == "snapshot" else judge_it(directory)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(json.dumps(figures | {"peak_rss_mib": round(peak_kib / 1024, 1)}))


if __name__ == "__main__":
    main()
