"""Following long work from a terminal: a bar on a terminal, plain lines otherwise, until its report is there."""

import time
from collections.abc import Callable

from django.core.management.base import OutputWrapper
from django.db import InterfaceError, OperationalError, connection
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gates.models import Report

POLL_S = 0.5

Look = Callable[[], tuple[Report | None, str, float]]


def follow(name: str, look: Look, *, limit_s: float, stdout: OutputWrapper) -> Report | None:
    """Show what `look` says, in words and as a part of 1, until it returns a report; None when `limit_s` has passed.

    A portal whose database is away for a while goes on when it is back, and so do we.
    """
    console = Console()
    ends = time.monotonic() + limit_s
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(name, total=1.0, said="")
        said, part = "", 0.0
        while time.monotonic() < ends:
            try:
                report, words, part = look()
            except (OperationalError, InterfaceError):
                connection.close()
                report, words = None, f"the portal's database does not answer; {name} goes on when it does"
            if report is not None:
                return report
            progress.update(bar, completed=part, said=words)
            if not console.is_terminal and words != said:
                stdout.write(words)
                stdout.flush()
                said = words
            time.sleep(POLL_S)
    return None
