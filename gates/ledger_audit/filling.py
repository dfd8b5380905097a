"""The work of an audit: read the books into a sealed snapshot, judge it, and fill the slots one by one."""

import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from audits.checks import CHECKS
from audits.contract import BROKER_RELATIONS, PRICE_RELATIONS, RELATIONS
from audits.judge import CheckResult, sealed_snapshot
from audits.relation_files import SnapshotUnreadable
from audits.since import judging_since
from audits.snapshot import Snapshot, sealed_file, take_snapshot
from audits.sources import BrokerError, LedgerUnreadable
from audits.sources.oanda import OandaReader
from gates import engine
from gates.checks.outcome import Outcome
from gates.ledger_audit import lease
from gates.ledger_audit.lines import kept_findings, line_of, reason_of, snapshot_facts
from gates.ledger_audit.own import own_snapshot
from gates.ledger_audit.starting import close_rest
from gates.models import LedgerAudit, Slot
from gates.targets.access import TargetUnreachableError, access
from gates.targets.ledgers import ledger_of

log = logging.getLogger(__name__)

READ = (*RELATIONS, *BROKER_RELATIONS, *PRICE_RELATIONS)
READING_PART = 0.45  # of the whole work
UNREADABLE = (LedgerUnreadable, BrokerError, SnapshotUnreadable, TargetUnreachableError)


class LeaseLostError(Exception):
    """Another process has this audit now: whatever this one would write is refused."""


def snapshots_folder() -> Path:
    """Return where all of them lie."""
    return Path(settings.ENVIRONMENT.wartest_home) / "snapshots"


def snapshot_folder(run_id: int) -> Path:
    """Return where the snapshot of a run is or will be."""
    return snapshots_folder() / f"run-{run_id}"


def fill(audit: LedgerAudit) -> None:
    """Do the whole work of an audit whose lease we hold.

    1. Use the snapshot that an earlier attempt sealed, else take one, and write down its seal.
    2. Judge check by check; each result closes its slot at once, so that it is seen at once.
    3. Books that cannot be read close the rest as inconclusive, with the sentence that says why.

    Raises LeaseLostError.
    """
    with _Held(audit) as held:
        try:
            snapshot = _sealed(audit, held)
            held.say(LedgerAudit.Phase.JUDGING, "judging", part=0.5)
            _judge(audit, snapshot, held)
        except UNREADABLE as error:
            held.say(LedgerAudit.Phase.JUDGING, str(error), part=1)
            close_rest(audit.run, f"The books could not be read: {error}", timezone.now())
        except LeaseLostError:
            raise
        except Exception as error:
            log.exception("audit %s of run %s", audit.pk, audit.run_id)
            words = str(error).split("\n", 1)[0][:300] or type(error).__name__
            close_rest(audit.run, f"The audit could not be carried out: {words}", timezone.now())
        held.say(LedgerAudit.Phase.DONE, "", part=1)


class _Held:
    """Renews the lease in a thread while the main one reads and judges, and writes down how far it has come."""

    def __init__(self, audit: LedgerAudit) -> None:
        self._audit = audit
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._folder: Path | None = None
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> "_Held":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=10)

    def say(self, phase: str, doing: str, *, part: float) -> None:
        """Write down what is done now. Raises LeaseLostError."""
        if self._lost.is_set() or not lease.renew(
            self._audit, now=timezone.now(), phase=phase, doing=doing, done_part=part
        ):
            raise LeaseLostError(f"The audit of run {self._audit.run_id} is another process's now.")

    @contextmanager
    def watching(self, folder: Path) -> Iterator[None]:
        """While the block runs, say how much of a snapshot has been written next to `folder`."""
        self._folder = folder
        try:
            yield
        finally:
            self._folder = None

    def _renew(self) -> None:
        try:
            while not self._ended.wait(lease.RENEW_S):
                folder = self._folder
                seen = _written(folder) if folder else {}
                if not lease.renew(self._audit, now=timezone.now(), **seen):
                    self._lost.set()
                    return
        except Exception:
            log.exception("the lease of audit %s could not be renewed", self._audit.pk)
            self._lost.set()
        finally:
            connection.close()


def _written(folder: Path) -> dict[str, Any]:
    """Say what has been written of a snapshot that is not whole yet: it lies in a hidden folder beside it."""
    files = [path for draft in _drafts(folder) for path in draft.glob("*.parquet")]
    mib = sum(path.stat().st_size for path in files) / 2**20
    said = f"reading the books: {len(files)} of {len(READ)} relations begun, {mib:.1f} MiB written"
    return {"doing": said, "done_part": READING_PART * len(files) / len(READ)}


def _drafts(folder: Path) -> list[Path]:
    return sorted(folder.parent.glob(f".{folder.name}-*"))


def _sealed(audit: LedgerAudit, held: _Held) -> Snapshot:
    """Return the sealed snapshot of the audit: the one that is whole already, else a new one."""
    folder = snapshot_folder(audit.run_id)
    if folder.exists():
        sealed = audit.manifest_sha256
        snapshot = sealed_snapshot(folder, sealed) if sealed else own_snapshot(folder, audit.run.planned_start)
        for name in snapshot.relations:
            sealed_file(snapshot, name)
    elif audit.manifest_sha256:
        raise SnapshotUnreadable(f"The snapshot {folder} that was sealed is gone.")
    else:
        snapshot = _taken(audit, folder, held)
    if not audit.manifest_sha256:
        facts = snapshot_facts(snapshot)
        if not lease.renew(audit, now=timezone.now(), manifest_sha256=snapshot.manifest_sha256, snapshot=facts):
            raise LeaseLostError("The snapshot was sealed by another process.")
        audit.manifest_sha256 = snapshot.manifest_sha256
    return snapshot


def _taken(audit: LedgerAudit, folder: Path, held: _Held) -> Snapshot:
    for draft in _drafts(folder):  # what a killed process left behind
        shutil.rmtree(draft, ignore_errors=True)
    held.say(LedgerAudit.Phase.READING, "reading the books", part=0)
    reach = access(audit.run.campaign.target.spec)
    with OandaReader(reach.broker_url, reach.broker_account, reach.broker_token) as broker, held.watching(folder):
        return take_snapshot(ledger_of(reach), broker, folder, whole=False, with_prices=True)


def _judge(audit: LedgerAudit, snapshot: Snapshot, held: _Held) -> None:
    """Judge the checks whose slots are due, in the order of the table."""
    due = {slot.check_name: slot.pk for slot in audit.run.slots.filter(state=Slot.State.DUE)}
    checks = tuple(check for check in CHECKS if check.name in due)
    planned = audit.run.slots.count()
    results = judging_since(snapshot, checks, audit.since)
    began = timezone.now()
    for number, result in enumerate(results, start=planned - len(checks) + 1):
        part = 0.5 + 0.5 * number / planned
        held.say(LedgerAudit.Phase.JUDGING, f"judged {number} of {planned} checks", part=part)
        slot = engine.claim(due[result.name], worker=audit.worker, now=timezone.now())
        if slot is not None:
            engine.record(slot, outcome_of(result), started_at=began, now=timezone.now())
        began = timezone.now()


def outcome_of(result: CheckResult) -> Outcome:
    """Return what a slot keeps of a check's result."""
    return Outcome(result.verdict, reason_of(result), line_of(result), kept_findings(result))
