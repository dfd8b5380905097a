"""What a rehearsal of defects says in a terminal: how far it is, each defect when done, and a table at the end."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from audits.findings import Finding
from gates.detection.judgement import Judged
from gates.detection.rehearsing import Outcome, Rehearsed

MARKS = {
    Outcome.CAUGHT: ("●", "green"),
    Outcome.OTHER_REASON: ("◇", "yellow"),
    Outcome.MISSED: ("■", "red"),
    Outcome.NOT_SHOWN: ("○", "bright_black"),
}
PLAIN_WIDTH = 200  # where nobody looks at a screen, no line is cut


class Telling:
    """A bar for the whole, and under it a line for each defect that is at it; nothing of it where no screen is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._all: TaskID | None = None
        self._lines: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def begin(self, what: str, count: int) -> None:
        """Begin a bar of so many."""
        if self._all is not None:
            self._progress.remove_task(self._all)
        self._all = self._progress.add_task(what, total=count, words="")

    def step(self) -> None:
        """One more of them is done."""
        if self._all is not None:
            self._progress.advance(self._all)
            task = next(task for task in self._progress.tasks if task.id == self._all)
            self._progress.update(self._all, words=f"{task.completed:.0f} of {task.total:.0f}")

    def doing(self, name: str, words: str) -> None:
        """`name` is at it, and what it does, in words."""
        with self._lock:
            if name not in self._lines:
                self._lines[name] = self._progress.add_task(name, total=None, words=words)
            self._progress.update(self._lines[name], words=words)

    def over(self, name: str) -> None:
        """`name` is over."""
        with self._lock:
            if name in self._lines:
                self._progress.remove_task(self._lines.pop(name))


class BarOfAll(BarColumn):
    """A bar for what has a count, nothing for what has none."""

    def render(self, task: Task) -> ProgressBar | Text:  # type: ignore[override]
        """What stands in this column."""
        return Text() if task.total is None else super().render(task)


@contextmanager
def telling(console: Console) -> Iterator[Telling]:
    """The bar and its lines, for as long as the block runs."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        BarOfAll(bar_width=24),
        TextColumn("{task.fields[words]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    off = not console.is_terminal
    with Progress(*columns, console=console, disable=off, transient=True, expand=True) as progress:
        yield Telling(progress)


def line(result: Rehearsed) -> str:
    """One result in words."""
    defect = result.defect
    mark = MARKS[result.outcome][0]
    words = f"{mark} {result.outcome.upper():25} gate {defect.gate}  {defect.name:30} {result.took_s:5.1f} s"
    if result.outcome == Outcome.NOT_SHOWN:
        return f"{words}  {result.reason}"
    expected = ", ".join(defect.rules)
    if not result.findings:
        return f"{words}  nothing was found, expected: {expected}. {result.reason}".rstrip()
    first = own_finding(result)
    also = "" if result.outcome == Outcome.CAUGHT else f" (expected: {expected})"
    return f"{words}  {result.where}: {first.rule}{also}. {first.sentence}"


def own_finding(result: Rehearsed) -> Finding:
    """The first finding of the defect's own rules, else the first of all. Raises IndexError where there is none."""
    own = [found for found in result.findings if found.rule in result.defect.rules]
    return (own or list(result.findings))[0]


def table(results: Iterable[Rehearsed]) -> Table:
    """What caught what: in the order of the catalogue's gates, the slowest of each last."""
    drawn = Table(
        Column("", no_wrap=True, width=1),
        Column("gate", no_wrap=True, justify="right"),
        Column("defect", no_wrap=True),
        Column("scenario", overflow="fold", ratio=3),
        Column("point", overflow="fold", ratio=4),
        Column("finding", overflow="fold", ratio=2),
        Column("strikes", no_wrap=True, justify="right"),
        Column("s", no_wrap=True, justify="right"),
        box=None,
        pad_edge=False,
        header_style="bold",
        expand=True,
    )
    for result in sorted(results, key=lambda each: (each.defect.gate, each.took_s)):
        drawn.add_row(*_row(result))
    return drawn


def _row(result: Rehearsed) -> list[Text | str]:
    mark, style = MARKS[result.outcome]
    shown = result.shown_by
    scenario = f"{shown.scenario}, {shown.trial.operation}".replace("_", " ") if shown else result.where
    point = f"{shown.trial.fault} at {shown.label}" if shown else ""
    if shown and shown.then_label:
        point += f", at {shown.then_label}"
    finding = own_finding(result).rule if result.findings else result.outcome
    strikes = str(result.strikes) if result.strikes else ""
    words = [str(result.defect.gate), result.defect.name, scenario, point, finding, strikes, f"{result.took_s:.1f}"]
    return [Text(mark, style), *words]


def summary(results: Iterable[Rehearsed], clean: Judged) -> str:
    """How many of each, and the clean desk."""
    outcomes = [result.outcome for result in results]
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in Outcome if outcome in outcomes)
    word = "accused" if clean.findings else "not judged everywhere" if clean.silent else "clean"
    return f"{len(outcomes)} defects: {counts}; the clean desk is {word}."


def accusations(clean: Judged) -> Iterator[str]:
    """What was found on the clean desk, and where nothing is known of it."""
    for finding in clean.findings:
        yield f"THE CLEAN DESK IS ACCUSED  by {finding.rule!r}: {finding.sentence}"
    for words in clean.silent:
        yield f"NOTHING IS KNOWN OF THE CLEAN DESK  in {words}"
