"""Starting what works on an audit: a process of its own, since reading and judging large books takes minutes."""

import logging
import os
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from gates import engine
from gates.checks.outcome import inconclusive
from gates.ledger_audit import lease
from gates.models import LedgerAudit, Run, Slot

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
WORKER = f"{socket.gethostname()}:{os.getpid()}"


def attend(now: datetime) -> None:
    """See that somebody works on each open audit.

    1. Find the audits whose lease is free: new ones, and those whose process died.
    2. Claim each, so that of two ticks one starts a process.
    3. Start the process, which renews the lease; after too many deaths close what is left as inconclusive.
    """
    for audit_id in lease.unattended(now):
        attempt = lease.claim(audit_id, worker=WORKER, now=now)
        if attempt is None:
            continue
        if attempt > lease.ATTEMPTS:
            _give_up(audit_id, now)
        else:
            _start(audit_id, attempt)


def _start(audit_id: int, attempt: int) -> None:
    """The process belongs to the worker's group, so that it ends with the portal; nobody waits for it."""
    argv = (sys.executable, "-m", "gates.ledger_audit", str(audit_id), str(attempt))
    try:
        subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL)  # noqa: S603 - argv is ours
    except OSError:
        log.exception("audit %s could not be started; its lease runs out and the next tick tries again", audit_id)


def _give_up(audit_id: int, now: datetime) -> None:
    audit = LedgerAudit.objects.select_related("run").get(pk=audit_id)
    reason = f"The audit's process died {lease.ATTEMPTS} times, or did not begin in time: see the worker's log."
    close_rest(audit.run, reason, now)
    LedgerAudit.objects.filter(pk=audit_id).update(phase=LedgerAudit.Phase.DONE, doing=reason)


def close_rest(run: Run, reason: str, now: datetime) -> None:
    """Close every slot that is still due as inconclusive, for this reason."""
    for slot in run.slots.filter(state=Slot.State.DUE):
        mine = engine.claim(slot.pk, worker=WORKER, now=now)
        if mine is not None:
            engine.record(mine, inconclusive(reason), started_at=now, now=now)
