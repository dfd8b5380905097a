"""How pages write alerts: text of others made visible, deadlines that count down, and the badge of every page."""

import json
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

from gates.alerts.pages.inbox import standing, stopped_words
from gates.alerts.pages.seen import pieces
from gates.models import Alert
from gates.templatetags.gates_pages import duration

register = template.Library()
SHAPES = {"open": ("■", "failed"), "acknowledged": ("◐", "running"), "resolved": ("●", "passed")}
ODD = '<span class="odd" title="a sign that cannot be seen">{}</span>'


@register.filter
def seen(text: Any, longest: int = 2000) -> SafeString:
    """Write text of a target or a broker: escaped, by itself in its line, with every sign that hides made visible."""
    parts = format_html_join(
        "", "{}", ((format_html(ODD, name) if name else escape(plain),) for plain, name in pieces(str(text), longest))
    )
    return format_html("<bdi>{}</bdi>", parts)


@register.simple_tag
def alert_state(alert: Alert) -> SafeString:
    """Write where an alert is as shape, word and colour."""
    shape, colour = SHAPES[alert.state]
    return format_html(
        '<span class="status {}"><span aria-hidden="true">{}</span> {}</span>', colour, shape, alert.state
    )


@register.simple_tag
def countdown(alert: Alert, now: datetime) -> SafeString:
    """Write the time left of an open alert, which a live page counts down; of others, why nobody need hurry."""
    if alert.state != Alert.State.OPEN:
        return format_html("{}", "–")
    late = alert.deadline_at <= now
    words = f"overdue by {duration(now - alert.deadline_at)}" if late else f"{duration(alert.deadline_at - now)} left"
    return format_html(
        '<span class="{}" data-deadline="{}">{}</span>', "stale" if late else "", alert.deadline_at.isoformat(), words
    )


@register.filter
def brief_s(seconds: float | None) -> str:
    """Write a short time: `840 ms`, `4.2 s`, `3 min 05 s`; `–` for none."""
    if seconds is None:
        return "–"
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 60:
        return f"{seconds:.1f} s"
    return (
        f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"
        if seconds >= 3600
        else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    )


@register.inclusion_tag("gates/_alert_badge.html")
def alert_badge() -> dict[str, Any]:
    """What every page's navigation says of open alerts."""
    return {"standing": standing(timezone.now())}


@register.inclusion_tag("gates/_stopped.html")
def stopped_parts() -> dict[str, Any]:
    """The strip of every page that names each part of the portal that has stopped; hidden while none has."""
    return {"stopped": stopped_words(timezone.now())}


@register.filter
def shown_value(value: Any) -> SafeString:
    """Write a value of a cause: text made visible, anything else as JSON."""
    return seen(value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False))
