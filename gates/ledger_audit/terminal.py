"""An audit in a terminal: progress while it goes on, then its tables. Plain lines where nobody watches."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from audits.judge import CheckResult

SHAPES = {"passed": "●", "inconclusive": "◇", "failed": "■", "not applicable": "–", "running": "◐"}
STYLES = {"passed": "bold cyan", "inconclusive": "bold yellow", "failed": "bold red"}
PLAIN_WIDTH = 160


def console() -> Console:
    """Return the console of standard output; lines that nobody watches are not broken at 80 columns."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


class _Written(ProgressColumn):
    """How much of a snapshot is written: it lies in a hidden folder beside its place until it is whole."""

    def render(self, task: Task) -> Text:
        folder: Path | None = task.fields.get("folder")
        if folder is None:
            return Text("")
        files = [file for draft in folder.parent.glob(f".{folder.name}-*") for file in draft.glob("*.parquet")]
        size = sum(_size(file) for file in files)
        return Text(f"{len(files)} of {task.fields['relations']} relations begun, {size / 2**20:.1f} MiB")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # moved into place meanwhile
        return 0


class Telling:
    """Tells how far an audit is: a bar on a terminal, a line for each step otherwise."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._progress: Progress | None = None

    @contextmanager
    def reading(self, folder: Path, relations: int) -> Iterator[None]:
        """While the block reads so many relations of the books."""
        if not self._out.is_terminal:
            self._out.print("reading the books")
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), _Written(), TimeElapsedColumn())
        with Progress(*columns, console=self._out, transient=True) as progress:
            progress.add_task("reading the books", total=None, folder=folder, relations=relations)
            yield

    @contextmanager
    def judging(self) -> Iterator[None]:
        """While the block judges; each result is told to `judged`."""
        if not self._out.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total} checks"))
        with Progress(*columns, TimeElapsedColumn(), console=self._out, transient=True) as progress:
            self._progress = progress
            progress.add_task("judging", total=None)
            yield
        self._progress = None

    def judged(self, number: int, planned: int, result: CheckResult) -> None:
        """Tell one result."""
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=number, total=planned, description=result.title)
        else:
            head = f"{number} of {planned}: {SHAPES[result.outcome]} {result.outcome}, {result.title}"
            self._out.print(f"{head}: {result.rows:,} rows, {result.duration_s:.2f} s", markup=False)


def show(report: dict[str, Any], out: Console) -> None:
    """Print an audit's report: the checks, the findings by rule, the criteria, the verdict."""
    out.print(_checks(report["checks"]))
    for line in report["checks"]:
        if line["reason"] and line["verdict"] != "passed":
            out.print(f"  {line['name'].replace('_', ' ')}: {line['reason']}", markup=False, soft_wrap=True)
        for note in line["notes"]:
            out.print(f"  {line['name'].replace('_', ' ')}: {note}", markup=False, soft_wrap=True)
    if report["findings"]:
        out.print(_findings(report["findings"]))
    else:
        rows = sum(line["rows"] for line in report["checks"])
        out.print(f"Zero discrepancies in {rows:,} rows looked at.")
    out.print(_criteria(report["criteria"]))
    if report.get("not_counted_because"):
        out.print(f"Not counted as gate 3: {report['not_counted_because']}", markup=False, soft_wrap=True)
    seal = report["snapshot"].get("manifest_sha256")
    if seal:
        out.print(f"Snapshot of {report['snapshot']['moment']}, manifest SHA-256 {seal}", markup=False, soft_wrap=True)
    out.print(Text("Verdict: ").append(verdict_text(report["verdict"])))


def verdict_text(word: str) -> Text:
    """Return a verdict as shape and word in its colour."""
    return Text(f"{SHAPES[word]} {word}", style=STYLES.get(word, ""))


def _checks(lines: list[dict[str, Any]]) -> Table:
    table = Table(title="Checks", title_justify="left")
    table.add_column("", justify="right")
    table.add_column("check")
    table.add_column("verdict", no_wrap=True)
    for name in ("rows", "findings", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, line in enumerate(lines, start=1):
        outcome = line["verdict"] if line["applies"] else "not applicable"
        seconds = "" if line["duration_s"] is None else f"{line['duration_s']:.2f}"
        table.add_row(
            str(number),
            Text(line["title"] or line["name"].replace("_", " ")),
            verdict_text(outcome or "running"),
            f"{line['rows']:,}",
            f"{line['findings']:,}",
            seconds,
        )
    return table


def _findings(found: list[dict[str, Any]]) -> Table:
    table = Table(title="Findings", title_justify="left", show_lines=True)
    table.add_column("rule")
    table.add_column("count", justify="right", no_wrap=True)
    for name in ("expected", "measured", "difference"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("the worst of them", ratio=1, overflow="fold")
    for group in found:
        rule = Text(group["check"], style=STYLES["failed"]).append(f"\n{group['level']}", style="not bold")
        values = (Text(group[name]) for name in ("expected", "measured", "difference"))
        table.add_row(rule, f"{group['count']:,}", *values, Text(group["worst"]))
    return table


def _criteria(lines: list[dict[str, Any]]) -> Table:
    table = Table(title="Criteria", title_justify="left")
    for name in ("criterion", "required", "measured"):
        table.add_column(name)
    table.add_column("verdict", no_wrap=True)
    table.add_column("reason")
    for line in lines:
        values = (Text(line[name]) for name in ("name", "required", "measured"))
        table.add_row(*values, verdict_text(line["verdict"]), Text(line["reason"]))
    return table
