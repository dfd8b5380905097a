"""One table of what alerts go by. A target's description may set its own limits under `[alerts]`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

DEADLINES = {"critical": timedelta(0), "high": timedelta(hours=1), "medium": timedelta(hours=4)}
LEVEL_RANK = {"medium": 0, "high": 1, "critical": 2}

QUIET = timedelta(minutes=10)  # the same within this time after it was resolved is the same alert, open again
HOLD = timedelta(seconds=10)  # how long an alert that came back must be quiet, doubled each time it comes back
LONGEST_HOLD = QUIET


class BadThresholdError(ValueError):
    """`[alerts]` of a target's description cannot be followed; the message says what to correct."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """One limit: its name ends in its unit. `words` say what it is, `most` is the largest that makes sense."""

    name: str
    default: float
    most: float
    words: str


TABLE: tuple[Threshold, ...] = (
    Threshold("stop_missed_s", 5, 3600, "a touched stop may take this long to be executed; a run's plan sets it"),
    Threshold("orphan_after_s", 5, 3600, "a trade and its position may be apart for this long while one is booked"),
    Threshold("silent_after_s", 10, 3600, "the target may leave its health unanswered for this long"),
    Threshold("stop_latency_ms", 100, 3_600_000, "from the price that touches a stop to its execution"),
    Threshold("reconciliation_ms", 1000, 3_600_000, "one of the target's own reconciliations"),
    Threshold("cpu_pct", 80, 100, "of a core for the target's busiest thread, and of all cores for all of them"),
    Threshold("memory_pct", 80, 100, "of the memory that the target's process may have"),
    Threshold("disk_pct", 80, 100, "of the disks that the target writes to"),
    Threshold("resource_for_s", 10, 3600, "processor time is averaged over this long"),
    Threshold("slow_query_ms", 1000, 3_600_000, "one query of the target's, or its wait for a lock"),
    Threshold("trend_window_s", 60, 86_400, "one window that is compared with the target's earlier ones"),
    Threshold("warnings_least", 5, 1_000_000, "fewer warnings than this in one window are no rise"),
    Threshold("warnings_chance", 0.0001, 0.5, "a rise that an even rate shows by chance more often than this is none"),
    Threshold("slower_mads", 6, 1000, "robust standard deviations above the earlier windows' median"),
    Threshold("slower_times", 2, 1000, "times the earlier windows' median"),
    Threshold("slower_least_ms", 20, 3_600_000, "a smaller rise than this is noise"),
)
DEFAULTS = {threshold.name: threshold.default for threshold in TABLE}


def thresholds_of(spec: Mapping[str, Any]) -> dict[str, float]:
    """Return every limit by name, as `[alerts]` of the description sets it or else as in the table.

    Raises BadThresholdError for a name that is none, or a value that is no number above 0 and at most its largest.
    """
    own = spec.get("alerts") or {}
    if not isinstance(own, Mapping):
        raise BadThresholdError("[alerts] of the target's description must be a table of limits: correct it.")
    known = {threshold.name: threshold for threshold in TABLE}
    for name, value in own.items():
        if name not in known:
            raise BadThresholdError(f"[alerts] {name} is unknown: use {', '.join(known)}.")
        most = known[name].most
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
            raise BadThresholdError(f"[alerts] {name} is {value!r}: give a number above 0 and at most {most:g}.")
    return DEFAULTS | {name: float(value) for name, value in own.items()}
