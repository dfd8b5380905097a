"""The target's own earlier behaviour, kept by windows of equal length. Pure: the caller tells the time in seconds.

While a rule is firing, the windows that it fires by do not become part of the past: what lasts is not thereby usual.
"""

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from gates.alerts.rules.observed import SpeedSeen, WarningsSeen
from gates.alerts.rules.performance import IN_A_ROW

MOST_WINDOWS = 240  # of a minute each: the last four hours


def _past[T]() -> deque[T]:
    return deque(maxlen=MOST_WINDOWS)


@dataclass(slots=True)
class WarningTrend:
    """Counts warnings by windows of `window_s`; the last one that is over is compared with those before it."""

    window_s: float
    firing: bool = False
    _began_s: float | None = None
    _counting: int = 0
    _last: int | None = None
    _before: deque[int] = field(default_factory=_past)
    _line: str = ""

    def add(self, count: int, line: str, now_s: float) -> None:
        """Take what was counted since the last time."""
        if self._began_s is None:
            self._began_s = now_s
        while now_s - self._began_s >= self.window_s:
            if self._last is not None and not self.firing:
                self._before.append(self._last)
            self._last, self._counting = self._counting, 0
            self._began_s += self.window_s
        self._counting += count
        self._line = line or self._line

    def seen(self) -> WarningsSeen | None:
        """Return the last window and those before it; None before one is over.

        A window that goes on counts as the last one as soon as it holds more than that: nobody waits for its end.
        """
        if self._last is None:
            return None
        before, last = list(self._before), max(self._last, self._counting)
        if self._counting > self._last and not self.firing:
            before.append(self._last)
        return WarningsSeen(last, self.window_s, sum(before), len(before) * self.window_s, self._line)


@dataclass(slots=True)
class SpeedTrend:
    """Keeps the median of each window of one figure in ms; a window without a sample leaves none."""

    what: str
    window_s: float
    firing: bool = False
    _began_s: float | None = None
    _added_s: float | None = None
    _sampled: list[float] = field(default_factory=list)
    _lately: deque[float] = field(default_factory=deque)
    _before: deque[float] = field(default_factory=_past)

    def add(self, value_ms: float, now_s: float) -> None:
        """Take one sample."""
        self._added_s = now_s
        if self._began_s is None:
            self._began_s = now_s
        if now_s - self._began_s >= self.window_s:
            self._close()
            self._began_s = now_s
        self._sampled.append(value_ms)

    def _close(self) -> None:
        self._lately.append(median(self._sampled))
        self._sampled = []
        if len(self._lately) > IN_A_ROW:
            oldest = self._lately.popleft()
            if not self.firing:
                self._before.append(oldest)

    def is_fresh(self, now_s: float) -> bool:
        """Whether a sample came within the last window: older ones say nothing of now."""
        return self._added_s is not None and now_s - self._added_s <= self.window_s

    def seen(self) -> SpeedSeen:
        """Return the last windows and those before them."""
        return SpeedSeen(self.what, tuple(self._lately), tuple(self._before))
