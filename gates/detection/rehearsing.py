"""Rehearsing one defect: plant it, make it show, let what should catch it judge, and say what was caught and why."""

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from pathlib import Path
from typing import Any

import psycopg

from audits.checks import CHECKS as ALL_CHECKS
from audits.checks.stuck import stuck_orders
from audits.findings import Finding
from audits.judge import judge
from audits.relation_files import SnapshotUnreadable
from audits.snapshot import take_snapshot
from audits.sources import LedgerUnreadable
from audits.sources.oanda import BrokerError, OandaReader
from audits.sources.postgres import PostgresLedger
from audits.verdicts import Verdict
from gates.chaos.strikes.recovery import Result
from gates.chaos.trials import Trial
from gates.checks import health
from gates.detection.catalogue import Planted, Step
from gates.detection.ground import Desk, Ground, GroundError
from gates.detection.judgement import Judged, said_by
from gates.detection.provoking import provoke

SETTLE_LIMIT_S = 9.0  # above the time after which the desk gives an intent up
TIE_LIMIT_S = 10.0  # a desk that is slow for as long as a busy machine may make it is not behind for good
PAUSE_S = 0.1
STUCK_LIMIT_S = 3  # a desk that has come to rest has nothing left to do
CHECKS = tuple(stuck_orders(STUCK_LIMIT_S) if check.name == "stuck" else check for check in ALL_CHECKS)
ONE_MORE = (Step("heal", "", {}), Step("ask", "open", {}))
UNCARRIED = (GroundError, psycopg.Error, LedgerUnreadable, SnapshotUnreadable, BrokerError)
IN_DOUBT = "SELECT count(*) FROM wartest.orders WHERE status = 'pending'"


class Outcome(StrEnum):
    """What became of a defect."""

    CAUGHT = "caught"
    OTHER_REASON = "caught for another reason"
    MISSED = "missed"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True, slots=True)
class ShownBy:
    """The strike that shows a defect: in which scenario, at which message, and what it came to."""

    scenario: str
    label: str
    trial: Trial
    then_label: str = ""
    result: Result | None = None

    @property
    def words(self) -> str:
        """Where it was, in words."""
        words = f"{self.scenario}, {self.trial.operation}, {self.trial.fault} at {self.label}"
        return f"{words}, at {self.then_label}" if self.then_label else words


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One defect rehearsed: by which rules it was found, and whether they are its own; at gate 2, by which strike, and
    how many were made for it, of how many that there are at the operations struck.
    """

    defect: Planted
    outcome: Outcome
    findings: tuple[Finding, ...]
    took_s: float
    where: str = ""
    reason: str = ""
    shown_by: ShownBy | None = None
    strikes: int = 0
    planned: int = 0

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that were found broken, each once, its own first."""
        found = dict.fromkeys(finding.rule for finding in self.findings)
        return tuple(sorted(found, key=lambda rule: rule not in self.defect.rules))


def rehearse_by_hand(ground: Ground, defect: Planted) -> Rehearsed:
    """Carry out the defect's steps; judge health and books. What could not be carried out is not shown."""
    began = time.monotonic()
    try:
        seen = judged_after(ground, (defect.name,), defect.steps, trading=defect.trades)
    except UNCARRIED as error:
        took_s = round(time.monotonic() - began, 1)
        return Rehearsed(defect, Outcome.NOT_SHOWN, (), took_s, reason=f"{type(error).__name__}: {error}")
    took_s = round(time.monotonic() - began, 1)
    where = "while it traded" if defect.trades else "in its books"
    outcome = judge_rules(defect.by_hand, seen.findings)
    return Rehearsed(defect, outcome, seen.findings, took_s, where, "; ".join(seen.silent))


def rehearse_clean(ground: Ground, defects: Iterable[Planted]) -> Judged:
    """A clean desk of its own through the steps of each defect: nothing is found, or the war test is wrong.

    What could not be carried out is silent.
    """
    return reduce(Judged.and_also, (_judged_clean(ground, defect) for defect in defects), Judged())


def _judged_clean(ground: Ground, defect: Planted) -> Judged:
    """The clean desk right after the steps of one defect, as the defective one is judged.

    Books that hold no position leave checks with nothing to judge: then it opens one more, and is judged again.
    """
    try:
        with ground.desk((), trading=defect.trades) as desk:
            watched = provoke(desk, defect.steps)
            seen = judged(desk)
            if seen.silent and not seen.findings:
                provoke(desk, ONE_MORE)
                seen = judged(desk)
    except UNCARRIED as error:
        return Judged((), (f"the steps of {defect.name}: {type(error).__name__}: {error}",))
    seen = watched.and_also(seen)
    return replace(seen, silent=tuple(f"the steps of {defect.name}: {words}" for words in seen.silent))


def judge_rules(expected: Iterable[str], findings: Iterable[Finding]) -> Outcome:
    """A defect is caught for its own reason when each of its rules was found broken."""
    found = {finding.rule for finding in findings}
    if not found:
        return Outcome.MISSED
    return Outcome.CAUGHT if found >= set(expected) else Outcome.OTHER_REASON


def judged_after(ground: Ground, defects: tuple[str, ...], steps: Iterable[Step], *, trading: bool) -> Judged:
    """Run a desk through the steps and judge it; what was seen while it traded decides, if anything was."""
    with ground.desk(defects, trading=trading) as desk:
        watched = provoke(desk, steps)
        return watched if watched.findings else watched.and_also(judged(desk))


def judged(desk: Desk) -> Judged:
    """What the health check and every check of the audit find, once the desk has come to rest."""
    seen = _settled(desk)
    return said_by("health", health.judge(seen, desk.baseline)).and_also(_audited(desk))


def _settled(desk: Desk) -> dict[str, Any]:
    """Wait until the desk is well and nothing is in doubt, within its limit; its health then."""
    ends = time.monotonic() + SETTLE_LIMIT_S
    while time.monotonic() < ends:
        if desk.is_well() and not _in_doubt(desk):
            break
        time.sleep(PAUSE_S)
    return health.observe(desk.access)


def _in_doubt(desk: Desk) -> bool:
    with psycopg.connect(desk.database_url) as connection:
        row = connection.execute(IN_DOUBT).fetchone()
    return row is None or row[0] > 0


def _audited(desk: Desk) -> Judged:
    access = desk.access
    with (
        tempfile.TemporaryDirectory(prefix="wartest-defect-") as folder,
        OandaReader(access.broker_url, access.broker_account, access.broker_token) as broker,
    ):
        books = PostgresLedger(access.ledger_url, access.ledger_schema)
        snapshot = take_snapshot(books, broker, Path(folder) / "snapshot", tie_limit_s=TIE_LIMIT_S)
        results = judge(snapshot.directory, CHECKS).results
    return Judged(
        tuple(found for result in results for found in result.findings),
        tuple(f"{result.name}: {result.reason}" for result in results if result.verdict == Verdict.INCONCLUSIVE),
    )
