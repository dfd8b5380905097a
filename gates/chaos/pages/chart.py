"""The sequence chart: an operation's messages between target, ledger and broker, and beside each a cell for every
strike at it. Pure: rows in, places in a picture out, in user units that are pixels."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gates.chaos.messages import Strike

ROW = 20
TIME = 52  # the times end here, right aligned
LABELS = 64
LABEL_MOST = 52  # characters; the whole label is in the row's title
LABEL_WIDTH = 345
BETWEEN = 96  # between two life lines
COLUMN = 28
WIDTH = 1080  # what a wide page has room for: the life lines take what the cells leave
MOST_BETWEEN = 190
LETTER = 5.9  # the mean width of a letter of a heading
SLANT = math.radians(52)
LINES = ("ledger", "target", "broker")  # the target in the middle: no arrow crosses a life line
STRIKE_ORDER = tuple(Strike)
_PARAMETERS = re.compile(r"\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class StrikeSeen:
    """A strike as the chart sees it. `stands` says that another strike's recovery stands for its own."""

    crash_point: int
    point: str
    fault: str
    status: str
    words: str
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One strike in its row and column; `row` counts only rows that have cells, so that the arrow keys meet no gap."""

    strike: StrikeSeen
    row: int
    column: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Row:
    """One message: when it passed, if that is known, in words what it was, its arrow, and the strikes at it."""

    number: int
    at_ms: float | None
    channel: str
    direction: str
    label: str
    y: float
    start_x: float
    end_x: float
    cells: tuple[Cell, ...]

    @property
    def words(self) -> str:
        """The label without its channel, which the arrow shows, as long as there is room for it."""
        words = self.label.removeprefix(f"{self.channel}: ")
        return words if len(words) <= LABEL_MOST else f"{words[: LABEL_MOST - 1]}…"

    @property
    def head(self) -> str:
        """The arrow's head, as a path."""
        back = -7 if self.end_x > self.start_x else 7
        return f"M{self.end_x:g} {self.y:g}l{back} -4v8z"

    @property
    def struck(self) -> str:
        """`failed` where a strike at this message failed."""
        return "failed" if any(cell.strike.status == "failed" for cell in self.cells) else ""


@dataclass(frozen=True, slots=True)
class Heading:
    """One kind of strike above its column."""

    words: str
    x: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The whole picture of one operation: a head of height `top`, which stays in sight, and a body below it."""

    operation: str
    rows: tuple[Row, ...]
    headings: tuple[Heading, ...]
    lines: tuple[tuple[str, float], ...]
    top: float
    width: float
    height: float

    @property
    def timed(self) -> bool:
        """Whether it is known when its messages passed."""
        return any(row.at_ms is not None for row in self.rows)

    @property
    def fits(self) -> bool:
        """Whether a wide page shows it without scrolling sideways."""
        return self.width <= WIDTH


def sequence_chart(operation: str, messages: Iterable[Mapping[str, Any]], strikes: Sequence[StrikeSeen]) -> Chart:
    """Place an operation's messages one below the other in order of time, and each strike beside its message.

    `messages` are those of an operation's baseline, or of a recovery: {channel, direction, label, point, at_ms}.
    """
    faults = columns(strikes)
    between = min(MOST_BETWEEN, max(BETWEEN, (WIDTH - LABELS - LABEL_WIDTH - len(faults) * COLUMN - 130) / 2))
    lines = {name: LABELS + LABEL_WIDTH + 40 + between * place for place, name in enumerate(LINES)}
    first_x = lines[LINES[-1]] + 40 + COLUMN / 2
    places = {fault: first_x + COLUMN * number for number, fault in enumerate(faults)}
    longest = max((len(fault_words(fault)) for fault in faults), default=0)
    top = max(40.0, longest * LETTER * math.sin(SLANT) + 24)
    rows = _rows(messages, strikes, lines, places)
    slope = longest * LETTER * math.cos(SLANT)
    width = max(first_x + COLUMN * len(faults), (list(places.values()) or [first_x])[-1] + slope + 8)
    return Chart(
        operation,
        rows,
        tuple(Heading(fault_words(fault), x) for fault, x in places.items()),
        tuple(lines.items()),
        round(top, 1),
        round(width, 1),
        ROW * len(rows) + 6,
    )


def columns(strikes: Iterable[StrikeSeen]) -> list[str]:
    """The kinds of strike, each once, in the order in which the design lists them."""
    return sorted({strike.fault for strike in strikes}, key=lambda fault: (_place(fault), fault))


def fault_words(fault: str) -> str:
    """A fault as a person says it: `delay (delay_ms 4000)` is `delay 4000 ms`; a second measure has its name."""
    return _PARAMETERS.sub(lambda found: ", ".join(_measures(found[1].split(", "))), fault)


def _measures(parameters: Sequence[str]) -> Iterator[str]:
    is_second = False
    for parameter in parameters:
        named, _, value = parameter.rpartition(" ")
        name, _, unit = named.rpartition("_")
        if unit in ("ms", "s"):
            yield f"{name} {value} {unit}" if is_second else f"{value} {unit}"
            is_second = True
        else:
            yield parameter.replace("_", " ")


def _place(fault: str) -> int:
    """Where the list of strikes has the one that the fault is made of; what it does not know comes last."""
    return next((place for place, strike in enumerate(STRIKE_ORDER) if fault.startswith(strike)), len(STRIKE_ORDER))


def _rows(
    messages: Iterable[Mapping[str, Any]],
    strikes: Iterable[StrikeSeen],
    lines: Mapping[str, float],
    places: Mapping[str, float],
) -> tuple[Row, ...]:
    at: dict[str, list[StrikeSeen]] = {}
    for strike in strikes:
        at.setdefault(strike.point, []).append(strike)
    order = {fault: column for column, fault in enumerate(places)}
    rows: list[Row] = []
    struck = 0
    for number, message in enumerate(messages):
        y = ROW * (number + 0.5)
        found = sorted(at.get(message["point"], ()), key=lambda strike: order[strike.fault])
        cells = tuple(Cell(strike, struck, order[strike.fault], places[strike.fault], y) for strike in found)
        struck += bool(cells)
        ends = (lines["target"], lines[message["channel"]])
        start, end = ends if message["direction"] == "request" else ends[::-1]
        inward = 3 if end > start else -3  # an arrow ends at the line, not on it
        said = (message["channel"], message["direction"], message["label"])
        rows.append(Row(number, message["at_ms"], *said, y, start + inward, end - inward, cells))
    return tuple(rows)
