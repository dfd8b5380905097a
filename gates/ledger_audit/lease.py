"""The lease of an audit: one process at a time works on it, and a process that lost it can write no more."""

from datetime import datetime, timedelta

from django.db.models import F, Q

from gates.models import LedgerAudit, Run

LEASE = timedelta(seconds=20)
STARTING = timedelta(seconds=60)  # until its first word: on a machine that is busy an interpreter alone takes 20 s
RENEW_S = 2.0
ATTEMPTS = 5
AT_ONCE = 4  # audits started by one tick


def unattended(now: datetime) -> list[int]:
    """Return the audits of open runs on which nobody works, oldest first, a few at a time."""
    free = LedgerAudit.objects.filter(_free(now), run__state=Run.State.RUNNING).exclude(phase=LedgerAudit.Phase.DONE)
    return list(free.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])


def claim(audit_id: int, *, worker: str, now: datetime) -> int | None:
    """Take it for as long as a process needs to start; return the attempt, or None when somebody else holds it."""
    won = LedgerAudit.objects.filter(_free(now), pk=audit_id).update(
        lease_until=now + STARTING, attempt=F("attempt") + 1, worker=worker
    )
    return LedgerAudit.objects.values_list("attempt", flat=True).get(pk=audit_id) if won else None


def renew(audit: LedgerAudit, *, now: datetime, **seen: object) -> bool:
    """Hold the audit for another lease and write down what is `seen` of it; False when another attempt has it."""
    held = LedgerAudit.objects.filter(pk=audit.pk, attempt=audit.attempt).update(lease_until=now + LEASE, **seen)
    if held:
        Run.objects.filter(pk=audit.run_id).update(cursor=F("cursor") + 1)
    return bool(held)


def _free(now: datetime) -> Q:
    """On the audit's own columns only, so that of two who claim at once one wins."""
    return Q(lease_until=None) | Q(lease_until__lt=now)
