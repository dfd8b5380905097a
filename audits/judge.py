"""Judging: run checks over a sealed snapshot in DuckDB, with exact decimals and without a network."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from threading import Lock, Semaphore
from typing import Any, Protocol

import duckdb

from audits.checks import CHECKS, Check
from audits.checks.check import INCONCLUSIVE, NOT_APPLICABLE, NOTE
from audits.findings import Finding, FindingGroup, Level
from audits.loose import Loose
from audits.snapshot import Snapshot, SnapshotUnreadable, load_snapshot
from audits.standing import is_small, standing_tables
from audits.tables import THREADS, Tables, judged_tables, loose_tables, opened
from audits.tie import Tie
from audits.verdicts import Verdict, merge

KEPT_FINDINGS = 200  # a check keeps so many; the groups count all of them
LEDGER_BEHIND = "ledger behind the broker"
NO_BROKER = "no broker's books were given"
MADE_UP = "made up by the ledger's view, which proves nothing about the ledger"

__all__ = ["CheckResult", "Judgement", "judge", "judge_loose", "judging", "opened", "sealed_snapshot"]

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
    """Yield the result of each check as soon as it is there, in order; otherwise as `judge`.

    As many checks as THREADS run at once, each on one thread; one for which memory then does not suffice runs alone.
    """
    room = _Room()
    users = [check.uses for check in checks]
    with judged_tables(snapshot, users) as tables, ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(lambda check: _judge_one(tables, snapshot, check, room), checks)


def judge_loose(books: Loose, checks: Sequence[Check] = CHECKS) -> tuple[CheckResult, ...]:
    """Run the checks over loose books, one after the other, small ones by kept plans; otherwise as `judge`."""
    room = _Room()
    with standing_tables(books) if is_small(books) else loose_tables(books, [check.uses for check in checks]) as tables:
        return tuple(_judge_one(tables, books, check, room) for check in checks)


class Judged(Protocol):
    """What a judgement must know of the books: a snapshot's, or loose ones."""

    @property
    def broker(self) -> str: ...

    @property
    def last_transaction_id(self) -> str: ...

    @property
    def tied(self) -> bool: ...

    @property
    def tie(self) -> Tie: ...

    @property
    def relations(self) -> Mapping[str, object]: ...

    @property
    def made(self) -> tuple[str, ...]: ...


class _Room:
    """Memory for as many checks as THREADS at once, or for one that needs it all."""

    def __init__(self) -> None:
        self._shares = Semaphore(THREADS)
        self._taking_all = Lock()

    def look(self, look: Callable[[], "_Seen"]) -> "_Seen":
        """Look beside others, and again alone if there was not memory enough for both."""
        try:
            with self._shares:
                return look()
        except duckdb.OutOfMemoryException:
            with self._taking_all, ExitStack() as all_shares:
                for _ in range(THREADS):
                    all_shares.enter_context(self._shares)
                return look()


def _judge_one(tables: Tables, snapshot: Judged, check: Check, room: _Room) -> CheckResult:
    """Judge one check: what it found counts most, then what it could not see, then what does not apply."""
    began = time.perf_counter()
    try:
        seen = room.look(lambda: _seen(tables, snapshot, check))
    except Exception as error:  # noqa: BLE001  whatever a check dies of, it is no pass
        tables.is_sound = False
        seen = _Seen(reasons=[f"the check could not be carried out: {type(error).__name__}: {error}"])
    finally:
        tables.release(check.uses)
    verdict = Verdict.PASSED
    if seen.groups:
        verdict = Verdict.FAILED
    elif seen.reasons or seen.absent:
        verdict = Verdict.INCONCLUSIVE
    return CheckResult(
        name=check.name,
        title=check.title,
        verdict=verdict,
        rows=seen.rows,
        findings=seen.findings,
        groups=seen.groups,
        reason="; ".join(seen.reasons or seen.absent),
        duration_s=round(time.perf_counter() - began, 6),
        applies=bool(seen.groups or seen.reasons or not seen.absent),
        notes=tuple(seen.notes),
    )


@dataclass(slots=True)
class _Seen:
    """What one look showed. `reasons` make it inconclusive, `absent` says what the ledger or the audit lacks."""

    rows: int = 0
    findings: tuple[Finding, ...] = ()
    groups: tuple[FindingGroup, ...] = ()
    reasons: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _seen(tables: Tables, snapshot: Judged, check: Check) -> _Seen:
    if check.is_about_broker and not snapshot.broker:
        return _Seen(absent=[NO_BROKER])
    needs = (*check.needs, *(check.compares if snapshot.broker else ()))
    missing = [name for name in needs if name not in snapshot.relations]
    if missing:
        return _Seen(reasons=[f"the snapshot has no {', '.join(missing)}"])
    flaws = [flaw for name in needs for flaw in tables.flaws(name)]
    if not all(flaw.usable for flaw in flaws):
        return _Seen(reasons=[flaw.sentence for flaw in flaws])
    tables.make(check.uses)
    made = [column for column in snapshot.made if column.partition(".")[0] in needs]
    with tables.cursor() as database:
        seen = _Seen(*_look(tables, database, check), reasons=[flaw.sentence for flaw in flaws])
        _add_remarks(seen, tables.asked(database, check.remarks_sql) if check.remarks_sql else ())
    seen.reasons += [f"{column} is {MADE_UP}" for column in made if column in check.own]
    seen.notes += [f"{column} is {MADE_UP}" for column in made if column not in check.own]
    if not seen.rows and not seen.absent:
        seen.reasons.append(check.empty)
    if check.needs_tie and not snapshot.broker:
        seen.notes.append(f"{NO_BROKER}: what compares with them was left out")
    elif check.needs_tie and not snapshot.tied:
        _add_untied(seen, snapshot)
    return seen


def _add_remarks(seen: _Seen, remarks: Sequence[tuple[str, str]]) -> None:
    places = {NOTE: seen.notes, INCONCLUSIVE: seen.reasons, NOT_APPLICABLE: seen.absent}
    for weight, sentence in remarks:
        places[weight].append(sentence)


def _add_untied(seen: _Seen, snapshot: Judged) -> None:
    """Ledger and broker are of different moments: a finding where the ledger stayed behind, else no evidence."""
    tie = snapshot.tie
    if not tie.lasting:
        seen.reasons.append(tie.reason)
        return
    finding = Finding(
        rule=LEDGER_BEHIND,
        level=Level.CRITICAL,
        sentence=f"{tie.reason[0].upper()}{tie.reason[1:]}.",
        expected=f"booked up to transaction {snapshot.last_transaction_id}",
        measured=f"{len(tie.behind)} transactions not booked after {tie.waited_s} s",
        where={"transactions": ", ".join(tie.behind)},
    )
    seen.findings += (finding,)
    seen.groups += (FindingGroup(LEDGER_BEHIND, Level.CRITICAL, 1, finding, finding, finding),)


def _look(
    tables: Tables, database: duckdb.DuckDBPyConnection, check: Check
) -> tuple[int, tuple[Finding, ...], tuple[FindingGroup, ...]]:
    """Count the rows, keep the findings in a table, and read back the groups and the first of them."""
    looked_at = int(tables.asked(database, check.rows_sql)[0][0])
    if not tables.may_find(check.findings_sql):
        return looked_at, (), ()
    # The row number is what the ORDER BY of the check gave, so that first and last mean something.
    found = database.execute(
        f"CREATE OR REPLACE TEMP TABLE found AS SELECT row_number() OVER () AS n, * FROM ({check.findings_sql})"  # noqa: S608
    ).fetchone()
    if found == (0,):
        return looked_at, (), ()
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
    return looked_at, findings, groups


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
