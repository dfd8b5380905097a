"""The slot grid: checks × time, drawn as SVG from plain data. A cell never looks better than its worst slot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

COLUMNS = 72  # stretches of time: an hour each in 72 h; a slot longer than a stretch has a cell of its own
NAME_WIDTH = 108
PLOT_WIDTH = 880
ROW_HEIGHT = 24
CELL_HEIGHT = 18
AXIS_HEIGHT = 20
WORST_FIRST = ("failed", "inconclusive", "running", "passed", "waiting")


@dataclass(frozen=True, slots=True)
class SlotGroup:
    """The slots of one check in one stretch of time, counted by status; `slot_id` is set when it is one slot.

    `due` of them have had their time, and `holes` were filled by nobody.
    """

    check: str
    start: datetime
    end: datetime
    counts: dict[str, int]
    slot_id: int | None = None
    due: int = 0
    holes: int = 0

    @property
    def status(self) -> str:
        """The worst status of the group; half judged and half waiting is `running`."""
        present = [status for status in WORST_FIRST if self.counts.get(status)]
        if present == ["passed", "waiting"]:
            return "running"
        return present[0] if present else "waiting"

    @property
    def words(self) -> str:
        """Counts in words, worst first: `1 failed, 59 passed`."""
        named = (f"{self.counts[s]} {_WORD[s]}" for s in WORST_FIRST if self.counts.get(s))
        return ", ".join(named)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its place in the picture (user units), its status and what it says."""

    group: SlotGroup
    row: int
    column: int
    x: float
    y: int
    width: float

    @property
    def mark(self) -> bool:
        """Whether the cell has room for the shape that a failed cell carries besides its colour."""
        return self.group.status == "failed" and self.width >= 6

    @property
    def mark_x(self) -> float:
        return self.x + self.width / 2 - 2.5

    @property
    def mark_y(self) -> float:
        return self.y + CELL_HEIGHT / 2 - 2.5


@dataclass(frozen=True, slots=True)
class Row:
    """One check and its cells, in order of time."""

    name: str
    y: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """The whole picture, in user units of its view box."""

    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    width: int
    height: int
    cell_height: int = CELL_HEIGHT


def slot_grid(groups: Iterable[SlotGroup], *, start: datetime, end: datetime) -> Grid:
    """Place each group by its time between start and end; checks keep the order in which they first appear."""
    by_check: dict[str, list[SlotGroup]] = {}
    for group in groups:
        by_check.setdefault(group.check, []).append(group)
    rows = tuple(
        _row(name, index, sorted(members, key=lambda group: group.start), (start, end))
        for index, (name, members) in enumerate(by_check.items())
    )
    height = len(rows) * ROW_HEIGHT + AXIS_HEIGHT
    return Grid(rows, _ticks(start, end), NAME_WIDTH + PLOT_WIDTH + 8, height)


def _row(name: str, index: int, members: Sequence[SlotGroup], span: tuple[datetime, datetime]) -> Row:
    y = index * ROW_HEIGHT + (ROW_HEIGHT - CELL_HEIGHT) // 2
    cells = []
    for column, group in enumerate(members):
        left, right = _x(group.start, span), _x(group.end, span)
        gap = 1.5 if right - left > 4 else 0.4
        cells.append(Cell(group, index, column, round(left, 2), y, round(max(right - left - gap, 0.8), 2)))
    return Row(name, y + 13, tuple(cells))


def _x(moment: datetime, span: tuple[datetime, datetime]) -> float:
    start, end = span
    part = (moment - start) / (end - start)
    return NAME_WIDTH + PLOT_WIDTH * min(1.0, max(0.0, part))


def _ticks(start: datetime, end: datetime) -> tuple[tuple[float, str], ...]:
    """Up to nine round times since the start: `0`, `12 h`, `24 h` … or `30 s`, `2 min`."""
    length_s = (end - start).total_seconds()
    step_s = next((step for step in _STEPS_S if length_s / step <= 9), _STEPS_S[-1])
    last = min(int(length_s // step_s), 40)
    return tuple(
        (round(_x(start + timedelta(seconds=step_s * n), (start, end)), 1), _elapsed(step_s * n))
        for n in range(last + 1)
    )


def _elapsed(seconds: int) -> str:
    if seconds == 0:
        return "0"
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


_WORD = {
    "failed": "failed",
    "inconclusive": "inconclusive",
    "running": "running",
    "passed": "passed",
    "waiting": "not yet",
}
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400, 432000)
