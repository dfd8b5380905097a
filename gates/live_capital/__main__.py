"""The process that does one full audit of gate 4: `python -m gates.live_capital SLOT ATTEMPT`, started by a tick."""

import os
import signal
import sys

import django

MOST_S = 24 * 3600


def main(slot_id: int, attempt: int) -> int:
    """Do the audit within its slot's grace. Returns 0 when done, 3 when another attempt has the slot."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    django.setup()
    from django.utils import timezone  # noqa: PLC0415 - settings must be ready first

    from gates.live_capital import auditing  # noqa: PLC0415
    from gates.models import Slot  # noqa: PLC0415

    slot = Slot.objects.select_related("run__campaign__target").get(pk=slot_id)
    if slot.attempt != attempt or slot.state != Slot.State.DUE:
        return 3
    left_s = (slot.grace_until - timezone.now()).total_seconds()
    signal.setitimer(signal.ITIMER_REAL, max(1.0, min(left_s, MOST_S)))  # ends this process, even inside a long query
    return 0 if auditing.carry_out(slot) else 3


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
