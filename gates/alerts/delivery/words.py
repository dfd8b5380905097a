"""What a message says. Text of a target is never taken for markup, a link, a mention, or another line. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

LONGEST = 1000
LONGEST_TITLE = 180
RIGHT_TO_LEFT = {"R", "AL", "AN"}
FIRST_STRONG, POP = "\u2068", "\u2069"  # what they enclose cannot turn round what stands beside it
LOOK_ALIKES = str.maketrans({"<": "‹", ">": "›", "@": "＠", "`": "'"})
SPACES = re.compile(r"\s+")


def plain(text: str, longest: int = LONGEST) -> str:
    """Return the text as one line that says the same and does nothing, wherever it is shown.

    Gone: control characters, invisible ones, those that turn the direction of writing. Changed to what looks alike:
    angle brackets, backticks and the sign of a mention. Taken apart: links. Writing from right to left is enclosed, so
    that it stays by itself.
    """
    line = SPACES.sub(" ", "".join(_shown(letter) for letter in text)).strip()
    line = line.translate(LOOK_ALIKES).replace("](", "] (").replace("://", ": //")
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    turned = any(unicodedata.bidirectional(letter) in RIGHT_TO_LEFT for letter in line)
    return f"{FIRST_STRONG}{line}{POP}" if turned else line


def _shown(letter: str) -> str:
    """Spaces and line ends of every kind are a space; what has no shape of its own is nothing."""
    if letter.isspace():
        return " "
    return "" if unicodedata.category(letter)[0] == "C" or unicodedata.category(letter) in ("Zl", "Zp") else letter


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of an alert. `link` is the address of its page, empty where nobody said where the portal is."""

    level: str
    rule: str
    sentence: str
    target: str
    threshold: str
    count: int
    event_at: datetime
    raised_at: datetime
    deadline_at: datetime
    link: str


LEADS = {
    "raised": "",
    "reminder": "Still open. ",
    "escalation": "Nobody has acknowledged this. ",
    "resolved": "Resolved. ",
}


def title(told: Told, occasion: str) -> str:
    """Return the first line: how bad it is, of whom, and what."""
    how = "resolved" if occasion == "resolved" else told.level
    words = f"{how.upper()}: {plain(told.rule, 80)}"
    return plain(f"{words}, {plain(told.target, 60)}" if told.target else words, LONGEST_TITLE)


def body(told: Told, occasion: str) -> str:
    """Return the lines below: what happened, when, how often, until when, where to look."""
    lines = [
        f"{LEADS[occasion]}{plain(told.sentence)}",
        "",
        f"Limit: {plain(told.threshold, 200)}" if told.threshold else "",
        f"Happened {_moment(told.event_at)}, raised {_moment(told.raised_at)}, seen {_times(told.count)}.",
        "" if occasion == "resolved" else _until(told),
        f"See {told.link}" if told.link else "",
    ]
    return "\n".join(line for number, line in enumerate(lines) if line or number == 1)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _until(told: Told) -> str:
    when = "at once" if told.level == "critical" else f"by {_moment(told.deadline_at)}"
    return f"To be seen to {when}."


def without_secrets(words: str, address: str, longest: int = 300) -> str:
    """Return words about a failed try in which no part of the address stands that could be a secret."""
    parts = {part for form in (address, unquote(address)) for part in (form, *re.split(r"[/:@?&=,]+", form))}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= 4:
            words = words.replace(part, "***")
    return plain(words, longest)
