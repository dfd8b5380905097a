"""Judging: run checks over a sealed snapshot in DuckDB, with exact decimals and without a network."""

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from audits.checks import CHECKS, Check
from audits.findings import Finding, FindingGroup, Level
from audits.snapshot import Snapshot, SnapshotUnreadable, load_snapshot, sealed_file
from audits.verdicts import Verdict, merge

KEPT_FINDINGS = 200  # a check keeps so many; the groups count all of them
MEMORY_LIMIT = "768MB"
LEDGER_BEHIND = "ledger behind the broker"
NOT_APPLICABLE = "not applicable"

_VALUES = ("rule", "expected", "measured", "difference")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check saw.

    `findings` holds the first 200, `groups` counts all. `reason` says why it is inconclusive, or why it does not apply:
    then `applies` is false, and its verdict is inconclusive so that nobody takes it for a pass. `notes` say what the
    check could not see although it was carried out, and what it measured.
    """

    name: str
    title: str
    verdict: Verdict
    rows: int
    findings: tuple[Finding, ...]
    groups: tuple[FindingGroup, ...]
    reason: str
    duration_s: float
    applies: bool = True
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """The verdict as a word, or `not applicable`, which is counted apart."""
        return str(self.verdict) if self.applies else NOT_APPLICABLE

    @property
    def finding_count(self) -> int:
        """How many things are wrong, kept or not."""
        return sum(group.count for group in self.groups)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The results of all checks over one snapshot, and their worst verdict."""

    snapshot: Snapshot
    results: tuple[CheckResult, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the checks that apply; where none does, there is no evidence."""
        return merge(result.verdict for result in self.results if result.applies)

    @property
    def gate_verdict(self) -> Verdict:
        """The verdict by which a gate may open: a ledger that was not compared with a broker never opens one."""
        return self.verdict if self.snapshot.broker else merge((self.verdict, Verdict.INCONCLUSIVE))


def judge(directory: Path, checks: Sequence[Check] = CHECKS, *, manifest_sha256: str | None = None) -> Judgement:
    """Run the checks over the snapshot in `directory`.

    A check that raises, lacks a relation or saw no row is inconclusive, never passed. Where ledger and broker are not
    tied, the checks that compare them fail with `ledger behind the broker` if the ledger lagged beyond the limit, and
    are inconclusive if the broker only kept moving. Raises SnapshotUnreadable when a file, or the manifest compared
    with `manifest_sha256`, is not what was sealed.
    """
    snapshot = sealed_snapshot(directory, manifest_sha256)
    return Judgement(snapshot, tuple(judging(snapshot, checks)))


def sealed_snapshot(directory: Path, manifest_sha256: str | None) -> Snapshot:
    """Load a snapshot; raises SnapshotUnreadable unless its manifest is the one that was sealed (None: any)."""
    snapshot = load_snapshot(directory)
    if manifest_sha256 is not None and manifest_sha256 != snapshot.manifest_sha256:
        raise SnapshotUnreadable(f"The manifest in {directory} is not the one that was sealed.")
    return snapshot


def judging(snapshot: Snapshot, checks: Sequence[Check] = CHECKS) -> Iterator[CheckResult]:
    """Yield the result of each check as soon as it is there, in order; otherwise as `judge`."""
    with opened(snapshot) as database:
        for check in checks:
            yield _judge_one(database, snapshot, check)


@contextmanager
def opened(snapshot: Snapshot, relations: Iterable[str] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory database whose views are the sealed files of these relations, or of all.

    It may spill to disk, but not fetch anything. Raises SnapshotUnreadable when a file is not what was sealed.
    """
    with tempfile.TemporaryDirectory(prefix="wartest-audit-") as spill:
        database = duckdb.connect(config={"autoload_known_extensions": False, "autoinstall_known_extensions": False})
        try:
            database.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            database.execute(f"SET temp_directory = {_quoted(spill)}")
            database.execute("SET threads = 2")
            database.execute(
                "CREATE MACRO plain(n) AS CASE WHEN contains(n::VARCHAR, '.') "
                "THEN rtrim(rtrim(n::VARCHAR, '0'), '.') ELSE n::VARCHAR END"
            )
            for name in snapshot.relations if relations is None else relations:
                path = _quoted(str(sealed_file(snapshot, name)))
                database.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet({path})')  # noqa: S608
            yield database
        finally:
            database.close()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _judge_one(database: duckdb.DuckDBPyConnection, snapshot: Snapshot, check: Check) -> CheckResult:
    began = time.perf_counter()
    missing = [name for name in check.needs if name not in snapshot.relations]
    rows, reason = 0, ""
    findings: tuple[Finding, ...] = ()
    groups: tuple[FindingGroup, ...] = ()
    if missing:
        reason = f"the snapshot has no {', '.join(missing)}"
    elif check.needs_tie and not snapshot.tied:
        findings, groups, reason = _untied(snapshot)
    else:
        try:
            rows, findings, groups = _look(database, check)
        except Exception as error:  # noqa: BLE001  whatever a check dies of, it is no pass
            reason = f"the check could not be carried out: {type(error).__name__}: {error}"
        else:
            reason = "" if rows or groups else check.empty
    verdict = Verdict.FAILED if groups else Verdict.INCONCLUSIVE if reason else Verdict.PASSED
    duration_s = round(time.perf_counter() - began, 6)
    return CheckResult(check.name, check.title, verdict, rows, findings, groups, reason, duration_s)


def _untied(snapshot: Snapshot) -> tuple[tuple[Finding, ...], tuple[FindingGroup, ...], str]:
    tie = snapshot.tie
    if not tie.lasting:
        return (), (), tie.reason
    finding = Finding(
        rule=LEDGER_BEHIND,
        level=Level.CRITICAL,
        sentence=f"{tie.reason[0].upper()}{tie.reason[1:]}.",
        expected=f"booked up to transaction {snapshot.last_transaction_id}",
        measured=f"{len(tie.behind)} transactions not booked after {tie.waited_s} s",
        where={"transactions": ", ".join(tie.behind)},
    )
    return (finding,), (FindingGroup(LEDGER_BEHIND, Level.CRITICAL, 1, finding, finding, finding),), ""


_Seen = tuple[int, tuple[Finding, ...], tuple[FindingGroup, ...]]


def _look(database: duckdb.DuckDBPyConnection, check: Check) -> _Seen:
    """Count the rows, keep the findings in a table, and read back the groups and the first of them."""
    counted = database.execute(check.rows_sql).fetchone()
    # The row number is what the ORDER BY of the check gave, so that first and last mean something.
    database.execute(
        f"CREATE OR REPLACE TEMP TABLE found AS SELECT row_number() OVER () AS n, * FROM ({check.findings_sql})"  # noqa: S608
    )
    places = database.execute(
        "SELECT rule, count(*), min(n), coalesce(arg_max(n, abs(difference)), min(n)), max(n) FROM found "
        "GROUP BY rule ORDER BY rule"
    ).fetchall()
    named = sorted({number for _, _, *numbers in places for number in numbers})
    kept = database.execute(
        "SELECT * EXCLUDE (n), n FROM found WHERE n <= ? OR n IN (SELECT unnest(?)) ORDER BY n",
        [KEPT_FINDINGS, named],
    )
    columns = [description[0] for description in kept.description or ()]
    by_number = {row[-1]: _finding(check, dict(zip(columns, row, strict=True))) for row in kept.fetchall()}
    groups = tuple(
        FindingGroup(rule, check.rules[rule].level, count, by_number[first], by_number[worst], by_number[last])
        for rule, count, first, worst, last in places
    )
    findings = tuple(finding for number, finding in by_number.items() if number <= KEPT_FINDINGS)
    return int(counted[0]) if counted else 0, findings, groups


def _finding(check: Check, row: dict[str, Any]) -> Finding:
    rule = check.rules[row["rule"]]
    words = {name: _plain(value) for name, value in row.items() if name != "n"}
    return Finding(
        rule=row["rule"],
        level=rule.level,
        sentence=rule.sentence.format(**words),
        expected=words["expected"],
        measured=words["measured"],
        difference=words["difference"],
        where={name: value for name, value in words.items() if name not in _VALUES and value},
    )


def _plain(value: Any) -> str:
    """Return a value as text: a number exactly and without idle zeros, nothing as the empty text."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)
