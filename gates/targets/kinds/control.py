"""What every kind of process control can do, and what it tells."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MOST_LOG_BYTES = 64 * 1024
MOST_LOG_LINES = 1000


class ControlError(Exception):
    """The target's process cannot be controlled so; one sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running target: `pid` on this machine (None on another), since when, what it is called, and a caution."""

    name: str
    pid: int | None
    started_at: datetime | None
    caution: str = ""


@dataclass(frozen=True, slots=True)
class Killed:
    """The receipt of a kill. `exact` is whether SIGKILL was the first thing that it met, and its death was seen."""

    name: str
    pid: int | None
    took_s: float
    exact: bool
    words: str


class Control(Protocol):
    """Start, stop, kill, see and read one target's process. Every call is bounded in time; all raise ControlError."""

    def running(self) -> Running | None:
        """The process as it runs now; None when it does not."""

    def start(self) -> Running:
        """Start it, unless it runs already, and wait until it does."""

    def stop(self) -> str:
        """Ask it to end and wait until it has; how it went, in words."""

    def kill(self) -> Killed:
        """Kill it at once, with everything it started, and wait until it is dead."""

    def logs(self) -> str:
        """The end of its log, at most 64 KiB."""
