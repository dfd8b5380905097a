"""On which line of a TOML text each of its keys stands, which its parser does not tell. Pure.

The text has been parsed before, so that only its layout is read here, not its rules.
"""

import re

Path = tuple[str, ...]
HEADER = re.compile(r"\s*\[\[?\s*(?P<name>[^\]]+?)\s*\]\]?\s*(#.*)?$")
WORD = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
KEY = re.compile(rf"\s*(?P<key>{WORD}(?:\s*\.\s*{WORD})*)\s*=")
PART = re.compile(rf"\s*({WORD})\s*(?:\.|$)")
STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
LONG = ('"""', "'''")


def lines_of(text: str) -> dict[Path, int]:
    """Return the line, from 1, of each section and key."""
    found: dict[Path, int] = {}
    section: Path = ()
    within, depth = "", 0  # of a text over several lines, and of brackets that are still open
    for number, line in enumerate(text.splitlines(), start=1):
        if within:
            within = "" if within in line else within
            continue
        if not depth and (header := HEADER.match(line)) and not KEY.match(line):
            section = _parts(header["name"])
            found.setdefault(section, number)
            continue
        key = None if depth else KEY.match(line)
        if key:
            _note(found, (*section, *_parts(key["key"])), number)
        within = next((mark for mark in LONG if line.count(mark) % 2), "")
        bare = STRINGS.sub("", line).partition("#")[0]
        depth = max(0, depth + sum(map(bare.count, "[{")) - sum(map(bare.count, "]}")))
    return found


def line_at(found: dict[Path, int], path: Path) -> int | None:
    """Return the line of a key; where it is not written, that of what it would stand in."""
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return None


def _note(found: dict[Path, int], path: Path, number: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], number)


def _parts(name: str) -> Path:
    return tuple(part.strip("\"'") for part in PART.findall(name))
