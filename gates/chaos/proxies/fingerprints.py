"""Names for messages that stay the same from run to run: statements without literals, paths without ids. Pure.

psycopg2 writes values into the statement where other drivers send them apart, and a second run has other ids; both must
get the fingerprint of the first.
"""

import hashlib
import re
from urllib.parse import parse_qsl, unquote, urlsplit

MAXIMUM_SQL = 20_000
MAXIMUM_FINGERPRINT = 2_000
MAXIMUM_LABEL = 120

# Possessive and open-ended: hostile text is read once, from left to right.
_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]*+ | /\*(?:[^*]|\*(?!/))*+(?:\*/|\Z) )
    | (?P<text>    \b[eE]'(?:[^'\\]|\\.|'')*+(?:'|\Z)
                 | \b(?:[uU]&|[bBxXnN])?'(?:[^']|'')*+(?:'|\Z)
                 | '(?:[^']|'')*+(?:'|\Z) )
    | (?P<dollar>  (?<![\w$])\$(?P<tag>[A-Za-z_]\w*+|)\$ )
    | (?P<name>    "(?:[^"]|"")*+(?:"|\Z) | [^\W\d][\w$]*+ )
    | (?P<value>   \$\d++ | (?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)? )
    | (?P<space>   \s++ )
    """,
    re.VERBOSE | re.DOTALL,
)
_CONSTANTS = {"null", "true", "false"}
_SIGN = re.compile(r"(?<=[(,=<>*/+\[]) ?[-+] ?\?")
_CAST = re.compile(
    r"\? ?:: ?[A-Za-z_][\w.]*+(?: precision| varying| with time zone)?(?: ?\( ?\?[?, ]*+\))?(?: ?\[ ?\])*"
)
_LIST = re.compile(r"\?(?: ?, ?\?)++")
_ARRAY = re.compile(r"ARRAY ?\[ ?\?? ?\]", re.IGNORECASE)
_ROWS = re.compile(r"\( ?\? ?\)(?: ?, ?\( ?\? ?\))++")
_ALONE = re.compile(r"(?:BEGIN|COMMIT|ROLLBACK|END|ABORT|START TRANSACTION|SYNC)", re.IGNORECASE)


def statement_fingerprint(sql: str) -> str:
    """The statement with literals and parameters as `?`, lists of them folded, comments gone, spaces single."""
    text = _values_folded(sql[:MAXIMUM_SQL])
    for pattern, shorter in ((_SIGN, "?"), (_CAST, "?"), (_LIST, "?"), (_ARRAY, "?"), (_LIST, "?"), (_ROWS, "(?)")):
        text = pattern.sub(shorter, text)
    text = text.strip(" ;")
    if _ALONE.fullmatch(text):
        text = text.upper()
    return cut(text)


def cut(fingerprint: str) -> str:
    """Within the limit, and still different from others that begin the same."""
    if len(fingerprint) <= MAXIMUM_FINGERPRINT:
        return fingerprint
    digest = hashlib.sha256(fingerprint.encode(errors="replace")).hexdigest()[:16]
    return f"{fingerprint[:MAXIMUM_FINGERPRINT]}…{digest}"


def _values_folded(sql: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        if found is None:
            parts.append(sql[position])
            position += 1
            continue
        position = found.end()
        kind, token = found.lastgroup, found.group()
        if kind in {"dollar", "tag"}:
            close = sql.find(token, position)
            position = len(sql) if close < 0 else close + len(token)
        if kind in {"comment", "space"}:
            if parts and parts[-1] != " ":
                parts.append(" ")
        elif kind == "name" and token.lower() not in _CONSTANTS:
            parts.append(token)
        else:
            parts.append("?")
    return "".join(parts)


_IDENTIFIER = r'((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?)'
_EFFECTS = re.compile(
    rf"\b(INSERT INTO|UPDATE(?: ONLY)?|DELETE FROM|MERGE INTO|TRUNCATE(?: TABLE)?) {_IDENTIFIER}", re.IGNORECASE
)
_FROM = re.compile(rf"\bFROM {_IDENTIFIER}", re.IGNORECASE)
_CALL = re.compile(rf"SELECT (?:\* FROM )?{_IDENTIFIER} ?\(", re.IGNORECASE)  # noqa: S608  a pattern
_COPY = re.compile(rf"COPY {_IDENTIFIER}.*? (FROM|TO)\b", re.IGNORECASE)


def statement_label(fingerprint: str) -> str:
    """A fingerprint in few words: `INSERT INTO executions`, `SELECT FROM orders`, `COMMIT`."""
    first = fingerprint[:10].upper()
    if first.startswith(("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "WITH")) and (
        effect := _EFFECTS.search(fingerprint)
    ):
        return f"{effect[1].upper()} {bare(effect[2])}"
    if first.startswith("COPY") and (copied := _COPY.match(fingerprint)):
        return f"COPY {bare(copied[1])} {copied[2].upper()}"
    if first.startswith("SELECT") and (called := _CALL.match(fingerprint)) and not _FROM.search(fingerprint):
        return f"SELECT {bare(called[1])}()"
    if first.startswith(("SELECT", "WITH")) and (source := _FROM.search(fingerprint)):
        locking = " FOR UPDATE" if " FOR UPDATE" in fingerprint.upper() else ""
        return f"SELECT FROM {bare(source[1])}{locking}"
    return " ".join(fingerprint.split(" ")[:4])[:MAXIMUM_LABEL] or "nothing"


def bare(identifier: str) -> str:
    return identifier.replace('"', "")


_VERSION = re.compile(r"v\d+(?:\.\d+)*", re.IGNORECASE)
_HAS_ID = re.compile(r"\d|^@|[^\x21-\x7e]")


def request_fingerprint(method: str, target: str) -> str:
    """`POST /v3/accounts/*/orders`: segments that carry ids as `*`, the query as its sorted names."""
    parts = urlsplit(target)
    segments = [_segment(unquote(segment)) for segment in parts.path.split("/")]
    names = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True, max_num_fields=200)})
    return cut(f"{method} {'/'.join(segments)}{'?' + '&'.join(names) if names else ''}")


def _segment(segment: str) -> str:
    return "*" if _HAS_ID.search(segment) and not _VERSION.fullmatch(segment) else segment


def request_label(fingerprint: str) -> str:
    """`POST orders`: the method and the words of the path that tell it apart."""
    method, _, path = fingerprint.partition(" ")
    words = [
        part for part in path.partition("?")[0].split("/") if part not in {"", "*"} and not _VERSION.fullmatch(part)
    ]
    telling = words[1:] if len(words) > 1 and words[0] in {"accounts", "rest"} else words
    return f"{method} {' '.join(telling) or '/'}"[:MAXIMUM_LABEL]


def stream_line_kind(line: bytes) -> str:
    """The type of a line of a JSON stream, like HEARTBEAT or ORDER_FILL; `line` where it has none."""
    found = re.search(rb'"type"\s*:\s*"([A-Z_]{1,60})"', line[:4_096])
    return found[1].decode() if found else "line"
