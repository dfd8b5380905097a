"""The days of gate 4: each judged from its own slots and from what happened on it. Pure.

A slot belongs to the day in which its window ends, so that a week's audit is a matter of its last day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from audits.verdicts import Verdict

STATUSES = ("failed", "inconclusive", "passed", "running", "waiting")


@dataclass(frozen=True, slots=True)
class DaySlots:
    """`count` slots of one day (from 1) and check that ended alike; `verdict` is None while they are due."""

    day: int
    check_name: str
    verdict: str | None
    count: int = 1
    holes: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """One day: `planned` slots, how they ended, and what happened on it that failed it."""

    number: int
    start: datetime
    end: datetime
    planned: int = 0
    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    holes: int = 0
    happened: tuple[str, ...] = ()
    bad_checks: tuple[str, ...] = field(default=())
    begun: bool = False

    @property
    def judged(self) -> int:
        return self.passed + self.failed + self.inconclusive

    @property
    def over(self) -> bool:
        """Whether every slot of the day is judged; a day without slots never is."""
        return self.planned > 0 and self.judged == self.planned

    @property
    def status(self) -> str:
        """A critical error fails the day, a hole leaves it without evidence; it passes when all of it did."""
        if self.failed or self.happened:
            return "failed"
        if self.inconclusive:
            return "inconclusive"
        if self.over:
            return "passed"
        return "running" if self.begun else "waiting"

    @property
    def words(self) -> str:
        """Why it is what it is."""
        if self.happened:
            return self.happened[0]
        if self.bad_checks:
            what = "failed" if self.failed else "missed" if self.holes else "inconclusive"
            return f"{', '.join(self.bad_checks)} {what}"
        return f"{self.passed} of {self.planned} slots passed"


def calendar(
    start: datetime,
    shape: tuple[int, int],
    slots: Iterable[DaySlots],
    happened: Iterable[tuple[datetime, str]],
    now: datetime,
) -> tuple[Day, ...]:
    """Return every day; `shape` is how many there are and how long each is, in seconds.

    `happened` are critical errors and interventions with their time; one after the last day belongs to it.
    """
    days, day_s = shape
    length = timedelta(seconds=day_s)
    by_day: dict[int, list[DaySlots]] = {}
    for row in slots:
        by_day.setdefault(row.day, []).append(row)
    events: dict[int, list[str]] = {}
    for at, sentence in happened:
        events.setdefault(min(days, max(1, (at - start) // length + 1)), []).append(sentence)
    starts = [start + number * length for number in range(days)]
    return tuple(
        _day(number, (opens, opens + length), by_day.get(number, []), events.get(number, []), begun=now >= opens)
        for number, opens in enumerate(starts, start=1)
    )


def _day(
    number: int, span: tuple[datetime, datetime], rows: Sequence[DaySlots], events: Sequence[str], *, begun: bool
) -> Day:
    counts = {word: sum(row.count for row in rows if row.verdict == word) for word in Verdict}
    worst = Verdict.FAILED if counts[Verdict.FAILED] else Verdict.INCONCLUSIVE
    return Day(
        number=number,
        start=span[0],
        end=span[1],
        planned=sum(row.count for row in rows),
        passed=counts[Verdict.PASSED],
        failed=counts[Verdict.FAILED],
        inconclusive=counts[Verdict.INCONCLUSIVE],
        holes=sum(row.holes for row in rows),
        happened=tuple(events),
        bad_checks=tuple(sorted({row.check_name for row in rows if row.verdict == worst})),
        begun=begun,
    )


def in_a_row(days: Sequence[Day]) -> int:
    """How many days from the first on have passed without one in between that did not."""
    count = 0
    for day in days:
        if day.status != "passed":
            break
        count += 1
    return count


def first_broken(days: Sequence[Day]) -> Day | None:
    """The first day that can no longer pass and is over: the month is broken there."""
    return next((day for day in days if day.over and day.status in ("failed", "inconclusive")), None)
