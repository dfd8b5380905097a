"""How pages write statuses, times and durations: the same everywhere."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from gates.models import Alert, Run
from gates.pages.grid import CELL_HEIGHT, Cell, Row
from gates.pages.rows import last_tick_at

STALE_TICK = timedelta(seconds=30)
SHAPES = {"passed": "●", "inconclusive": "◇", "failed": "■", "running": "◐", "waiting": "○"}
WORDS = {"waiting": "not yet"}

MOST_TEXT = 4000
MOST_ROWS = 100
MARK = '<rect class="mark" x="{}" y="{}" width="5" height="5"/>'

register = template.Library()


@register.simple_tag
def status(value: str | None, unjudged: str = "waiting") -> SafeString:
    """Write a status as shape, word and colour: never one of them alone."""
    name = value if value in SHAPES else unjudged
    word = WORDS.get(name, name)
    return format_html('<span class="status {}"><span aria-hidden="true">{}</span> {}</span>', name, SHAPES[name], word)


@register.simple_tag
def level(value: str) -> SafeString:
    return format_html('<span class="level {}">{}</span>', value, value)


@register.simple_tag
def moment(at: datetime | None, form: str = "%Y-%m-%d %H:%M:%S") -> SafeString | str:
    """Write a time in UTC and say so in its title."""
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', utc.isoformat(), utc.strftime(form))


@register.simple_tag
def clock(at: datetime | None) -> SafeString | str:
    return moment(at, "%H:%M:%S")


@register.simple_tag
def clock_ms(at: datetime | None) -> SafeString | str:
    """Write the time of day to the millisecond, as an operator reads it in a log."""
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', utc.isoformat(), utc.strftime("%H:%M:%S.%f")[:-3])


@register.filter
def duration(length: timedelta | None) -> str:
    """Write a length of time in its two largest units: `31 h 04 min`, `4 min 05 s`, `12 s`."""
    if length is None:
        return "–"
    seconds = int(abs(length.total_seconds()))
    if seconds >= 100 * 3600:
        return f"{seconds // 86400} d {seconds % 86400 // 3600:02d} h"
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    if seconds >= 60:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds} s"


@register.filter
def seconds(length_s: int) -> str:
    return duration(timedelta(seconds=length_s))


@register.simple_tag
def time_left(deadline: datetime, now: datetime) -> SafeString | str:
    """Write how long until the deadline, or by how much it is missed."""
    if deadline <= now:
        return format_html('<span class="stale">overdue by {}</span>', duration(now - deadline))
    return f"{duration(deadline - now)} left"


@register.simple_tag
def last_tick() -> SafeString:
    """Write the age of the engine's last tick; app.js keeps it counting on live pages."""
    at = last_tick_at()
    if at is None:
        return format_html('<span id="last-tick" class="stale">{}</span>', "no tick yet")
    age = timezone.now() - at
    return format_html(
        '<span id="last-tick" class="{}" data-at="{}">last tick {} ago</span>',
        "stale" if age > STALE_TICK else "quiet",
        at.isoformat(),
        duration(age),
    )


@register.filter
def label(name: Any) -> str:
    """Write a key of measured values in words: `database_ms` as `database ms`."""
    return str(name).replace("_", " ")


@register.simple_tag
def value(measured: Any) -> SafeString | str:
    """Write a measured value: rows as a table, a list on one line, an object as a block; cut where it would flood."""
    if isinstance(measured, list) and measured and all(isinstance(row, dict) for row in measured):
        return _table(measured[:MOST_ROWS])
    if isinstance(measured, list):
        return ", ".join(str(one) for one in measured)[:MOST_TEXT] or "–"
    if isinstance(measured, dict):
        return format_html("<pre>{}</pre>", json.dumps(measured, indent=1, ensure_ascii=False)[:MOST_TEXT])
    return "–" if measured in (None, "") else str(measured)


def _table(rows: list[dict[str, Any]]) -> SafeString:
    names = list(dict.fromkeys(name for row in rows for name in row))
    heads = format_html_join("", "<th>{}</th>", ((label(name),) for name in names))
    lines = (format_html_join("", "<td>{}</td>", ((_cell_text(row.get(name)),) for name in names)) for row in rows)
    body = format_html_join("", "<tr>{}</tr>", ((line,) for line in lines))
    return format_html(
        '<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>', heads, body
    )


def _cell_text(measured: Any) -> SafeString | str:
    return status(measured) if measured in SHAPES else label("–" if measured is None else measured)


@register.filter
def thousands(count: int) -> str:
    return f"{count:,}"


@register.filter
def minus(later: datetime, earlier: datetime) -> timedelta:
    return later - earlier


@register.filter
def milliseconds(length: timedelta) -> str:
    return f"{length.total_seconds() * 1000:.0f}"


@register.simple_tag
def grid_cells(run: Run, row: Row) -> SafeString:
    """Draw one check's cells, each a link to its slot or to the list of the slots that it stands for.

    Drawn here and not in the template, and escaped once for each row, because a page has some 300 of them: all else
    in a cell is numbers, times and words of ours.
    """
    list_address = escape(f"{reverse('gates:slots', args=[run.pk])}?{urlencode({'check': row.name})}")
    slot_address = reverse("gates:slot", args=[0])
    name = escape(label(row.name))
    return mark_safe("".join(_cell(cell, name, slot_address, list_address) for cell in row.cells))  # noqa: S308


def _cell(cell: Cell, name: str, slot_address: str, list_address: str) -> str:
    group = cell.group
    start, end = _utc(group.start), _utc(group.end)
    if group.slot_id:
        address = slot_address.replace("0", str(group.slot_id))
    else:
        address = f"{list_address}&amp;from={start}Z&amp;to={end}Z"
    words = f"{name}, {start[:10]} {start[11:19]} to {end[11:19]} UTC: {group.words}"
    tab = 0 if cell.row == cell.column == 0 else -1
    mark = MARK.format(cell.mark_x, cell.mark_y) if cell.mark else ""
    return (
        f'<a id="cell-{cell.row}-{cell.column}" class="{group.status}" data-row="{cell.row}"'
        f' data-column="{cell.column}" tabindex="{tab}" href="{address}" aria-label="{words}"><title>{words}</title>'
        f'<rect x="{cell.x}" y="{cell.y}" width="{cell.width}" height="{CELL_HEIGHT}"/>{mark}</a>'
    )


def _utc(at: datetime) -> str:
    """Write a time as `2026-11-22T12:00:00.000000`, in UTC; several times faster than strftime."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:26]


@register.simple_tag
def tab_title(status: str, run: Run | None, alerts: list[Alert]) -> str:
    """Say in the browser's tab what stands: `■ failed · Gate 1 · 2 alerts`."""
    if run is None:
        return "wartest"
    count = f" · {len(alerts)} alert{'' if len(alerts) == 1 else 's'}" if alerts else ""
    return f"{SHAPES[status]} {status} · Gate {run.gate}{count}"


@register.simple_tag
def tab_icon(status: str) -> str:
    return static(f"wartest/icons/{status}.svg")
