"""Text of others on our pages: never markup, and what would be invisible or turn the line round is shown. Pure."""

import unicodedata
from collections.abc import Iterator

TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LONGEST = 2000
RIGHT_TO_LEFT = ("R", "AL", "AN")
JOINING = frozenset("\u200d\ufe0f")  # within one sign that is shown, such as a flag


def pieces(text: str, longest: int = LONGEST) -> Iterator[tuple[str, str]]:
    """Yield (text, "") for what shows itself, and ("", name) for a sign that does not, such as `U+202E`.

    Line ends and tabs are spaces; what is cut off is said.
    """
    plain: list[str] = []
    for letter in text[:longest]:
        if letter.isspace() and letter not in "\u2028\u2029\x1c\x1d\x1e\x1f\x85":
            plain.append(" ")
        elif not hidden(letter):
            plain.append(letter)
        else:
            if plain:
                yield "".join(plain), ""
                plain = []
            yield "", f"U+{ord(letter):04X}"
    if len(text) > longest:
        plain.append(f" … ({len(text) - longest:,} letters more)")
    if plain:
        yield "".join(plain), ""


def hidden(letter: str) -> bool:
    """Whether a sign has no shape of its own: control, format, unassigned, private, half of a pair, line separators."""
    category = unicodedata.category(letter)
    return letter in TURNING or (category[0] == "C" and letter not in JOINING) or category in ("Zl", "Zp")
