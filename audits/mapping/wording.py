"""SQL as it is written into the file: names, constants and comments that cannot break out of their place. Pure."""

import re
from collections.abc import Iterable

_SIMPLE = re.compile(r"[a-z_][a-z0-9_]*")
_WORDS = """
    all analyse analyze and any array as asc asymmetric authorization between binary both case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
    foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral leading
    left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing
    primary references returning right select session_user similar some symmetric system_user table tablesample then
    to trailing true union unique user using variadic verbose when where window with"""
_RESERVED = frozenset(_WORDS.split())


def ident(name: str) -> str:
    """A name in SQL, quoted where it must be."""
    if _SIMPLE.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text constant in SQL, with standard_conforming_strings on or off."""
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def listed(words: Iterable[str]) -> str:
    """Text constants, as `IN (…)` takes them."""
    return ", ".join(literal(word) for word in words)


def comment(text: str) -> str:
    """A text that stays on one line, whatever a table is called: nothing in it can become SQL."""
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(text.split()))
