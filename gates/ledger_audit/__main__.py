"""The process that works on one audit: `python -m gates.ledger_audit AUDIT ATTEMPT`, started by a tick."""

import os
import signal
import sys

import django

MOST_S = 24 * 3600


def main(audit_id: int, attempt: int) -> int:
    """Fill the audit's slots within its limit. Returns 0 when done, 3 when another attempt has the audit."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    django.setup()
    from django.utils import timezone  # noqa: PLC0415 - settings must be ready first

    from gates.ledger_audit import filling  # noqa: PLC0415
    from gates.models import LedgerAudit  # noqa: PLC0415

    audit = LedgerAudit.objects.select_related("run__campaign__target").get(pk=audit_id)
    if audit.attempt != attempt or not audit.run.is_open:
        return 3
    left_s = (audit.run.planned_end - timezone.now()).total_seconds()
    signal.setitimer(signal.ITIMER_REAL, max(1.0, min(left_s, MOST_S)))  # ends this process, even inside a long query
    try:
        filling.fill(audit)
    except filling.LeaseLostError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
