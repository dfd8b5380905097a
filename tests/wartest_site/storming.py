"""`python -m tests.wartest_site.storming`: raise one event after the other until asked to stop; then say how many.

While the portal's database is away an event is tried again: each try that failed may have been counted all the same.
"""

import json
import os
import signal
import sys
import time

import django

MOST = 6000
RULES = 100
PAUSE_S = 0.1
AGAIN_S = 0.2


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    django.setup()
    from django.db import DatabaseError, InterfaceError, connection  # noqa: PLC0415 - settings must be ready first
    from django.utils import timezone  # noqa: PLC0415

    from gates.alerts.raising import Event, raise_event  # noqa: PLC0415

    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    raised = doubtful = 0
    while not asked and raised < MOST:
        level = "critical" if raised % RULES % 10 == 0 else "medium"
        now = timezone.now()
        event = Event(f"storm {raised % RULES}", level, "One of a storm.", now)
        try:
            raise_event(event, target=None, run=None, now=now)
        except (DatabaseError, InterfaceError):
            doubtful += 1
            connection.close()
            time.sleep(AGAIN_S)
        else:
            raised += 1
            time.sleep(PAUSE_S)
    sys.stdout.write(json.dumps({"raised": raised, "doubtful": doubtful}))


if __name__ == "__main__":
    main()
