"""The audit of a cell: the same reading and the same checks that judge the books everywhere else."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audits.checks import CHECKS, Check
from audits.checks.reconciliation import RECONCILIATION, reconciliations
from audits.findings import Finding, Level
from audits.judge import CheckResult, judge, judge_loose
from audits.loose import TooManyRowsError, read_loose
from audits.snapshot import take_snapshot
from audits.sources.oanda import OandaReader
from audits.sources.postgres import PostgresLedger
from audits.verdicts import Verdict, merge

TIE_LIMIT_S = 2.0
# A fault may slow a reconciliation down as long as it likes: only what it found counts in a cell.
CELL_CHECKS = tuple(reconciliations(limit_ms=600_000) if check is RECONCILIATION else check for check in CHECKS)
KEPT_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Books:
    """Where a cell's books are, reached directly. Holds secrets: never stored, never logged."""

    ledger_url: str
    schema: str
    broker_url: str
    account: str
    token: str


@dataclass(frozen=True, slots=True)
class Audited:
    """The verdict of every check, the findings, and why a check could not say anything."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    reasons: tuple[str, ...]
    checks: tuple[str, ...]


def audit(books: Books, folder: Path, checks: Sequence[Check] = CELL_CHECKS) -> Audited:
    """Read the ledger and the broker of one moment and judge them. Blocks; run it in a thread.

    Books that cannot be read are inconclusive, never passed.
    """
    try:
        with OandaReader(books.broker_url, books.account, books.token) as broker:
            results = _judged(PostgresLedger(books.ledger_url, books.schema), broker, folder, checks)
    except Exception as error:  # noqa: BLE001  whatever the audit dies of, it is no pass
        return Audited(Verdict.INCONCLUSIVE, (), (f"The audit could not be made: {error}",), ())
    return Audited(
        verdict=merge(result.verdict for result in results if result.applies),
        findings=tuple(found for result in results for found in _findings(result)),
        reasons=tuple(f"{result.name}: {result.reason}" for result in results if result.reason),
        checks=tuple(result.name for result in results),
    )


def _judged(
    ledger: PostgresLedger, broker: OandaReader, folder: Path, checks: Sequence[Check]
) -> tuple[CheckResult, ...]:
    """In memory; by files where the target's schema came with more rows than that takes."""
    try:
        return judge_loose(read_loose(ledger, broker, tie_limit_s=TIE_LIMIT_S), checks)
    except TooManyRowsError:
        place = Path(tempfile.mkdtemp(prefix="audit-", dir=folder))
        try:
            snapshot = take_snapshot(ledger, broker, place / "snapshot", tie_limit_s=TIE_LIMIT_S)
            return judge(snapshot.directory, checks).results
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _findings(result: CheckResult) -> tuple[Finding, ...]:
    """A check that failed without a finding to show still gives one."""
    if result.verdict == Verdict.FAILED and not result.findings:
        return (Finding(result.name, Level.CRITICAL, f"The check {result.name} failed: {result.reason}"),)
    return result.findings[:KEPT_FINDINGS]
