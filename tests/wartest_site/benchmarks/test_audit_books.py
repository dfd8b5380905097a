"""The books of the audit's benchmark: correct in themselves and towards the broker, by the audit's own checks."""

from pathlib import Path
from typing import Any

import psycopg

from audits.judge import judge
from audits.verdicts import Verdict
from wartest_site.benchmarks.audit_books import build_books
from wartest_site.benchmarks.audit_steps import snapshot


def test_the_books_are_correct(postgres_server: Any, tmp_path: Path) -> None:
    url = postgres_server.create_database("benchmark_books")
    with psycopg.connect(url) as connection:
        rows, events = build_books(connection, 2_000)
    snapshot(url, tmp_path / "one")
    judgement = judge(tmp_path / "one")
    assert sum(entry.rows for entry in judgement.snapshot.relations.values()) == rows
    assert events == judgement.snapshot.relations["balance_events"].rows
    wrong = [
        f"{result.name}: {result.reason} {result.findings[:1]}"
        for result in judgement.results
        if result.verdict is not Verdict.PASSED
    ]
    assert wrong == []
