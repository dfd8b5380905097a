"""How pages write a decision: shape, word and colour, as statuses are."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from gates.templatetags.gates_pages import SHAPES

LIKE = {"approved": "passed", "refused": "failed", "void": "inconclusive", "withdrawn": "waiting", "accepted": "passed"}

register = template.Library()


@register.filter
def like(word: str) -> str:
    """Return the status whose colour and shape a decision has; what is not decided waits."""
    return LIKE.get(word, word if word in SHAPES else "waiting")


@register.simple_tag
def decided(word: str, status: str = "") -> SafeString:
    """Write a decision as shape, word and colour."""
    name = status or like(word)
    shape = SHAPES[name]
    return format_html('<span class="status {}"><span aria-hidden="true">{}</span> {}</span>', name, shape, word)
