"""The full audit of gate 4: every check over a sealed snapshot, week after week, in a process of its own."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from audits.judge import CheckResult, Judgement, judge
from audits.relation_files import SnapshotUnreadable
from audits.since import set_aside
from audits.snapshot import Snapshot, take_snapshot
from audits.sources import BrokerError, LedgerUnreadable
from audits.verdicts import Verdict
from gates import engine
from gates.checks.outcome import Outcome, inconclusive
from gates.ledger_audit.lines import kept_findings, named_line, reason_of, snapshot_facts
from gates.ledger_audit.own import own_snapshot
from gates.live_capital.environments import WrongEnvironmentError
from gates.live_capital.plans import LivePlan
from gates.live_capital.reaching import live_access, reader_of
from gates.models import Slot
from gates.targets.access import TargetUnreachableError
from gates.targets.ledgers import ledger_of
from gates.workers import identity

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
RENEW_S = 10.0
HISTORIES = ("stops", "reconciliation")  # checks of what was done, where each deed is judged once
UNREADABLE = (LedgerUnreadable, BrokerError, SnapshotUnreadable, TargetUnreachableError, WrongEnvironmentError)


def attend(now: datetime) -> None:
    """Start a process for each full audit that is due and on which nobody works: claim first, so that one starts it."""
    for slot_id in engine.own_process(now):
        slot = engine.claim(slot_id, worker=identity(), now=now)
        if slot is None:
            continue
        argv = (sys.executable, "-m", "gates.live_capital", str(slot.pk), str(slot.attempt))
        try:
            subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL)  # noqa: S603  argv is ours
        except OSError:
            log.exception("the audit of slot %s did not start; its lease runs out and a tick tries again", slot.pk)


def carry_out(slot: Slot) -> bool:
    """Read the books into a sealed snapshot, judge them by every check, close the slot. Returns whether this did.

    The claim is held meanwhile. Books that cannot be read are no evidence, and the reason says why.
    """
    slot.worker = identity()
    started_at = timezone.now()
    with _held(slot):
        try:
            outcome = _outcome(slot)
        except UNREADABLE as error:
            outcome = inconclusive(f"The books could not be read: {error}")
        except Exception as error:
            log.exception("full audit of slot %s", slot.pk)
            words = str(error).split("\n", 1)[0][:300] or type(error).__name__
            outcome = inconclusive(f"The audit could not be carried out: {words}")
    return engine.record(slot, outcome, started_at=started_at, now=timezone.now())


def snapshot_folder(slot: Slot) -> Path:
    """Return where the snapshot of a month's audit is or will be."""
    plan = LivePlan.stored(slot.run.plan)
    day = round((slot.window_end - slot.run.planned_start).total_seconds() / plan.day_s)
    return Path(settings.ENVIRONMENT.wartest_home) / "snapshots" / f"run-{slot.run_id}-day-{day:02}"


def _outcome(slot: Slot) -> Outcome:
    snapshot = _snapshot(slot)
    whole = judge(snapshot.directory, manifest_sha256=snapshot.manifest_sha256)
    judgement = replace(whole, results=tuple(_of_this_month(one, snapshot, slot) for one in whole.results))
    return Outcome(
        judgement.gate_verdict,
        _reason(judgement),
        {
            "checks": [named_line(result) for result in judgement.results],
            "snapshot": snapshot_facts(snapshot),
            "folder": snapshot.directory.name,
            "rows": sum(result.rows for result in judgement.results),
        },
        tuple(found for result in judgement.results for found in kept_findings(result)),
    )


def _of_this_month(result: CheckResult, snapshot: Snapshot, slot: Slot) -> CheckResult:
    """Set aside what stops and reconciliations did wrong before the month began: their history has no end, and a
    failed month must not fail every later one. Books are judged whole, and what could not be seen is no pass."""
    if result.name not in HISTORIES:
        return result
    left = set_aside(result, snapshot, slot.run.planned_start)
    if left.groups or not result.groups or result.reason:
        return left
    return replace(left, verdict=Verdict.PASSED, reason="", notes=(*left.notes, left.reason))


def _snapshot(slot: Slot) -> Snapshot:
    """Return the snapshot that an earlier attempt sealed, else a new one."""
    folder = snapshot_folder(slot)
    if folder.exists():
        return own_snapshot(folder, slot.run.planned_start)
    reach = live_access(slot.run.campaign.target.spec)
    with reader_of(reach) as broker:
        return take_snapshot(ledger_of(reach), broker, folder, with_prices=True)


def _reason(judgement: Judgement) -> str:
    if judgement.gate_verdict == Verdict.PASSED:
        return ""
    worst = [result for result in judgement.results if result.applies and result.verdict == judgement.verdict]
    return "; ".join(f"{result.title}: {reason_of(result)}" for result in worst[:3])


@contextmanager
def _held(slot: Slot) -> Iterator[None]:
    """Renew the claim in a thread while the block runs."""
    ended = threading.Event()

    def renew() -> None:
        try:
            while engine.renew(slot, timezone.now()) and not ended.wait(RENEW_S):
                pass
        except Exception:
            log.exception("the claim of slot %s could not be renewed", slot.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=10)
