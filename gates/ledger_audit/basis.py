"""What the last audit of a whole ledger proved: where looks at a large one may go on from."""

from audits.judge import sealed_snapshot
from audits.relation_files import SnapshotUnreadable
from audits.snapshot import Snapshot
from audits.verdicts import Verdict
from gates.ledger_audit.filling import snapshot_folder
from gates.models import LedgerAudit


def last_passed(target_id: int) -> Snapshot | None:
    """Return the sealed snapshot of the target's last whole audit, if that passed and its files are here still.

    An audit that failed since says that the books are not what an earlier one proved. One that was inconclusive says
    nothing.
    """
    decided = LedgerAudit.objects.filter(
        run__campaign__target=target_id, run__verdict__in=(Verdict.PASSED, Verdict.FAILED), only=[], since=None
    )
    audit = decided.select_related("run").order_by("-run__closed_at", "-pk").first()
    if audit is None or audit.run.verdict != Verdict.PASSED or not audit.manifest_sha256:
        return None
    try:
        return sealed_snapshot(snapshot_folder(audit.run_id), audit.manifest_sha256)
    except SnapshotUnreadable:
        return None
