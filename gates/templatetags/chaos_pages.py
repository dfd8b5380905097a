"""How the pages of gate 2 draw a strike, and write the values of a receipt."""

from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from gates.chaos.pages.chart import COLUMN, LABELS, ROW, TIME, Cell, Chart, StrikeSeen, fault_words
from gates.chaos.pages.rows import title_of
from gates.templatetags.gates_pages import SHAPES

WORDS = {"skipped": "not applicable", "waiting": "not yet"}
MARKS = {
    "passed": '<circle class="mark" r="6"/>',
    "failed": '<rect class="mark" x="-6" y="-6" width="12" height="12"/>',
    "inconclusive": '<path class="mark" d="M0 -7L7 0L0 7L-7 0z"/>',
    "running": '<circle class="mark" r="5.5"/><path class="half" d="M0 -5.5a5.5 5.5 0 0 0 0 11z"/>',
    "waiting": '<circle class="mark" r="4.5"/>',
    "skipped": '<path class="mark" d="M-4 0h8"/>',
}
CELL = (
    '<a id="strike-{pk}" class="{kind}" data-row="{row}" data-column="{column}" tabindex="{tab}" href="{address}"'
    ' aria-label="{words}"><title>{words}</title><g transform="translate({x:g} {y:g})">'
    '<rect class="ground" x="{left}" y="{top}" width="{width}" height="{height}"/>{mark}</g></a>'
)
MESSAGE = (
    '<g class="message {direction} {struck}"><title>{label}{when}</title>'
    '<line class="rule" x1="0" x2="{width:g}" y1="{below:g}" y2="{below:g}"/>'
    '<text class="at" x="{time}" y="{base:g}" text-anchor="end">{at}</text>'
    '<text class="label" x="{left}" y="{base:g}">{words}</text>'
    '<line class="arrow" x1="{start:g}" x2="{end:g}" y1="{y:g}" y2="{y:g}"/><path class="tip" d="{head}"/></g>'
)
UNITS = {"ms": "ms", "s": "s", "bytes": "bytes", "mib": "MiB"}

register = template.Library()


@register.simple_tag
def chart_messages(chart: Chart) -> SafeString:
    """Draw every message: when, what in words, and its arrow. The words come from the wire and are escaped."""
    drawn = (
        MESSAGE.format(
            direction=row.direction,
            struck=row.struck,
            label=escape(row.label),
            words=escape(row.words),
            at="" if row.at_ms is None else f"{row.at_ms:.1f}",
            when="" if row.at_ms is None else f", {row.at_ms:.1f} ms after the first message",
            width=chart.width,
            below=row.y + ROW / 2,
            time=TIME,
            left=LABELS,
            base=row.y + 4,
            start=row.start_x,
            end=row.end_x,
            y=row.y,
            head=row.head,
        )
        for row in chart.rows
    )
    return mark_safe("".join(drawn))  # noqa: S308


@register.simple_tag
def chart_cells(chart: Chart) -> SafeString:
    """Draw every strike of a chart as a link; here and not in the template, because a page has a thousand of them.

    All in a cell but its words is numbers and names of ours; the words are escaped.
    """
    address = reverse("gates:crash_point", args=[0])
    cells = (cell for row in chart.rows for cell in row.cells)
    drawn = (_cell(cell, address, first=number == 0) for number, cell in enumerate(cells))
    return mark_safe("".join(drawn))  # noqa: S308


def _cell(cell: Cell, address: str, *, first: bool) -> str:
    strike = cell.strike
    return CELL.format(
        pk=strike.crash_point,
        kind=f"{strike.status}{' stands' if strike.stands else ''}",
        row=cell.row,
        column=cell.column,
        tab=0 if first else -1,
        address=address.replace("/0/", f"/{strike.crash_point}/"),
        words=escape(strike.words),
        x=cell.x,
        y=cell.y,
        left=-COLUMN // 2 + 1,
        top=-ROW // 2 + 1,
        width=COLUMN - 2,
        height=ROW - 2,
        mark=MARKS[strike.status],
    )


@register.simple_tag
def strike_link(strike: StrikeSeen) -> SafeString:
    """Write a strike as a link with shape, word and colour, for the table."""
    word = WORDS.get(strike.status, strike.status)
    return format_html(
        '<a class="status {}" href="{}" title="{}"><span aria-hidden="true">{}</span> {}</a>',
        strike.status if strike.status in SHAPES else "waiting",
        reverse("gates:crash_point", args=[strike.crash_point]),
        strike.words,
        SHAPES.get(strike.status, "–"),
        word,
    )


@register.simple_tag
def strike_mark(kind: str, stands: str = "") -> SafeString:
    """Draw one shape for the legend."""
    inner = mark_safe(MARKS[kind])  # noqa: S308 - ours
    return format_html(
        '<svg class="sequence key" width="18" height="18" viewBox="-9 -9 18 18" aria-hidden="true">'
        '<g class="cell {} {}">{}</g></svg>',
        kind,
        stands,
        inner,
    )


@register.simple_tag
def strike_status(status: str) -> SafeString:
    """Write how a crash point stands; one that does not apply has no verdict."""
    shown = status if status in SHAPES else "waiting"
    return format_html(
        '<span class="status {}"><span aria-hidden="true">{}</span> {}</span>',
        shown,
        SHAPES.get(status, "–"),
        WORDS.get(status, status),
    )


@register.filter
def fault(text: str) -> str:
    return fault_words(text)


@register.filter
def scenario_title(name: str) -> str:
    return title_of(name)


@register.filter
def ms(length_ms: float | None) -> str:
    """Write milliseconds in the unit that a person reads: `312 ms`, `4.20 s`."""
    if length_ms is None:
        return "–"
    return f"{length_ms / 1000:.2f} s" if length_ms >= 1000 else f"{length_ms:.0f} ms"


@register.filter
def proof_name(name: str) -> str:
    """The name of a proof's value without its unit: `delay_ms` is `delay`."""
    stem, _, unit = name.rpartition("_")
    return (stem if unit in UNITS else name).replace("_", " ")


@register.simple_tag
def proof_value(name: str, measured: Any) -> str:
    """The value of a proof with its unit, if its name says one."""
    unit = UNITS.get(name.rpartition("_")[2], "")
    if isinstance(measured, bool):
        return "yes" if measured else "no"
    shown = f"{measured:.1f}" if isinstance(measured, float) else str(measured)
    return f"{shown} {unit}".rstrip()
