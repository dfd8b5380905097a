"""One table of what alerts go by."""

from datetime import timedelta

DEADLINES = {"critical": timedelta(0), "high": timedelta(hours=1), "medium": timedelta(hours=4)}
LEVEL_RANK = {"medium": 0, "high": 1, "critical": 2}

QUIET = timedelta(minutes=10)  # the same within this time after it was resolved is the same alert, open again
HOLD = timedelta(seconds=10)  # how long an alert that came back must be quiet, doubled each time it comes back
LONGEST_HOLD = QUIET
