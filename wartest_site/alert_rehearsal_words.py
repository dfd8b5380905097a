"""What a rehearsal of alerts says in a terminal and in its file: a line for each rule, a table, a sentence."""

from collections.abc import Iterable
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from wartest_site.alert_rehearsal import LIMIT_MS, Followed, Outcome

MARKS = {Outcome.PASSED: ("●", "green"), Outcome.NOT_PROVOKED: ("◇", "yellow"), Outcome.FAILED: ("■", "red")}


def heard(row: Followed) -> str:
    """One alert as it was heard of, before it is known whether it ends well."""
    times = f"raised {ms(row.raised_ms)}, web {ms(row.web_ms)}, mail {ms(row.mail_ms)}"
    listed = "on the inbox" if row.listed else "NOT on the inbox"
    return f"{row.level:8} {row.rule:30} {times}, {listed}: {row.sentence or '; '.join(row.troubles)}"


def ms(time_ms: float | None) -> str:
    """A time since the event; one beyond the limit says so."""
    if time_ms is None:
        return "never"
    return f"{time_ms:.0f} ms" if time_ms <= LIMIT_MS else f"{time_ms:.0f} ms (LATE)"


def table(rows: Iterable[Followed]) -> Table:
    """Each rule in a row: what was done, since when it was known where, and how it ended."""
    drawn = Table(
        Column("", no_wrap=True, width=1),
        Column("level", no_wrap=True),
        Column("rule", no_wrap=True),
        Column("what was done", overflow="fold", ratio=3),
        Column("raised", no_wrap=True, justify="right"),
        Column("web", no_wrap=True, justify="right"),
        Column("mail", no_wrap=True, justify="right"),
        Column("inbox", no_wrap=True),
        Column("alerts", no_wrap=True, justify="right"),
        Column("resolved by", overflow="fold", ratio=3),
        box=None,
        pad_edge=False,
        header_style="bold",
        expand=True,
    )
    for row in rows:
        mark, style = MARKS[row.outcome]
        times = (ms(row.raised_ms), ms(row.web_ms), ms(row.mail_ms))
        opened = f"{row.alerts}, opened {row.openings} times" if row.openings > 1 else str(row.alerts)
        words = (row.level, row.rule, row.what, *times, "yes" if row.listed else "no", opened, row.recheck)
        drawn.add_row(Text(mark, style), *map(Text, words))
    return drawn


def summary(rows: Iterable[Followed]) -> str:
    """How many of each outcome, and the slowest of all messages."""
    rows = list(rows)
    outcomes = [row.outcome for row in rows]
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in Outcome if outcome in outcomes)
    times = [time_ms for row in rows for time_ms in (row.web_ms, row.mail_ms) if time_ms is not None]
    slowest = f"; the slowest message was there after {max(times):.0f} of {LIMIT_MS} ms" if times else ""
    return f"{len(rows)} rules: {counts}{slowest}."


def told(row: Followed) -> dict[str, Any]:
    """One row of the file."""
    return {
        "rule": row.rule,
        "level": row.level,
        "outcome": str(row.outcome),
        "done": row.what,
        "sentence": row.sentence,
        "event_to_raised_ms": row.raised_ms,
        "event_to_web_ms": row.web_ms,
        "event_to_mail_ms": row.mail_ms,
        "on_the_inbox": row.listed,
        "alerts": row.alerts,
        "openings": row.openings,
        "resolved_by": row.recheck,
        "troubles": row.said_against,
    }
