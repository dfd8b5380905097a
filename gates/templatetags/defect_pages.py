"""How the pages of planted defects write an outcome, a lane through the gates, and a step that provokes a defect."""

from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from gates.detection.catalogue import Step
from gates.detection.queries import STATUSES, Lane, Standing
from gates.models import RehearsedDefect
from gates.templatetags.gates_pages import SHAPES

SIGNS = {
    "through": ("→", "missed by gate {}, so it goes on to this one"),
    "unknown": ("·", "not looked at there: gate {} is the one that must catch it"),
}
DOING = {
    "ask": "ask the desk to {what}",
    "tick": "move a price by hand",
    "control": "tell the broker: {what}",
    "heal": "disarm every fault of the broker",
    "kill": "kill the desk",
    "start": "start it again",
    "killed_ask": "ask it to {what}, and kill it meanwhile",
    "killed_start": "start it again, and kill it soon after",
    "wait": "let it be",
    "watch": "let it trade, and look at it as gate 1 does",
    "live": "let it trade by its switch, and look at its orders as gate 4 does",
    "sql": "another session says {what}",
}

register = template.Library()


@register.filter
def lanes(standing: Standing, status: str) -> int:
    """How many defects stand so."""
    return standing.count(status)


@register.simple_tag
def lane_status(lane: Lane) -> SafeString:
    """Write what became of a defect as shape, word and colour."""
    return _status(lane.status, lane.word)


@register.simple_tag
def outcome(value: str) -> SafeString:
    """Write an outcome of an earlier rehearsal as shape, word and colour."""
    return _status(STATUSES[RehearsedDefect.Outcome(value)], value)


@register.simple_tag
def lane_step(lane: Lane, gate: int, step: str) -> SafeString | str:
    """Write one gate of a lane: a mark at the one that must catch it, an arrow where it goes on, a dot where nobody
    looked, else nothing.
    """
    if step == "stop":
        return format_html(
            '<a class="status {0}" href="{1}" title="gate {2}: {3}"><span aria-hidden="true">{4}</span>'
            '<span class="word">{3}</span></a>',
            *(lane.status, reverse("gates:defect", args=[lane.defect.name]), gate, lane.word, SHAPES[lane.status]),
        )
    if step in SIGNS:
        sign, words = SIGNS[step]
        said = words.format(lane.defect.gate)
        return format_html('<span title="{0}" role="img" aria-label="{0}">{1}</span>', said, sign)
    return format_html('<span class="unseen">{}</span>', "never reached")


@register.simple_tag
def step_words(step: Step) -> str:
    """Write a step in words, with what it takes."""
    words = DOING[step.do].format(what=step.what)
    return f"{words} ({_details(step.body)})" if step.body else words


def _details(body: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in body.items())


def _status(status: str, word: str) -> SafeString:
    return format_html(
        '<span class="status {}"><span aria-hidden="true">{}</span> {}</span>', status, SHAPES[status], word
    )
