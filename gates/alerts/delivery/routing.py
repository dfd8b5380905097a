"""Which routes a message takes, and when: quiet hours by the route's own clock, and none for what is critical. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gates.alerts.deadlines import ORDER

CRITICAL = "critical"
RANKS = {"critical": 0, "high": 1, "medium": 2}
MINUTE = timedelta(minutes=1)
MOST_MINUTES = 3 * 24 * 60  # no quiet hours are longer than a day, whatever clocks do


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of each day, [start, end) by the clock of `zone`; over midnight where the end is the earlier one."""

    start: time
    end: time
    zone: ZoneInfo

    def holds(self, at: datetime) -> bool:
        local = at.astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def ends(self, at: datetime) -> datetime:
        """Return `at` itself where it is not quiet then, else the first whole minute (UTC) at which it no longer is."""
        return self._first(at, quiet=False)

    def begins(self, at: datetime) -> datetime:
        """Return `at` itself where it is quiet then, else the first whole minute (UTC) at which it is."""
        return self._first(at, quiet=True)

    def _first(self, at: datetime, *, quiet: bool) -> datetime:
        """Minute by minute: a clock that is put forward or back may skip an end, or reach it twice."""
        if self.holds(at) is quiet:
            return at
        minute = at.astimezone(UTC).replace(second=0, microsecond=0)
        for _ in range(MOST_MINUTES):
            minute += MINUTE
            if self.holds(minute) is quiet:
                return minute
        return at


@dataclass(frozen=True, slots=True)
class Way:
    """A route that is in use. No roles: everybody is behind it."""

    route_id: int
    levels: frozenset[str]
    roles: frozenset[str] = frozenset()
    quiet: Quiet | None = None

    def reaches(self, role: str) -> bool:
        return not self.roles or role in self.roles


def ways_for(ways: Iterable[Way], *, level: str, roles: Collection[str], without: Collection[int] = ()) -> list[Way]:
    """Return the ways to these roles that take the level.

    Where none leads to them, those to the first role in the order that has one: somebody must hear of it.
    """
    open_ways = [way for way in ways if level in way.levels and way.route_id not in without]
    found = [way for way in open_ways if any(way.reaches(role) for role in roles)]
    others = iter(ORDER)
    while not found and (role := next(others, None)):
        found = [way for way in open_ways if way.reaches(role)]
    return found or open_ways


def due_at(way: Way, *, level: str, now: datetime) -> datetime:
    """Return when a message may go: now, or when the route's quiet hours end. Critical never waits."""
    return now if level == CRITICAL or way.quiet is None else way.quiet.ends(now)
