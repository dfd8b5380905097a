"""PostgreSQL's frames (protocol 3.0 and 3.2), read as they pass. Sans I/O.

A frame is a type byte, an int32 length that counts itself, and a body (PostgreSQL documentation, "Message Formats").
Readers remember only what names a message: a row of a gigabyte goes through without being kept.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache

from gates.chaos.proxies.fingerprints import statement_fingerprint, statement_label
from gates.chaos.proxies.lines import BadBytesError

LENGTH = struct.Struct(">I")
LARGE = 2**30
SMALL = 10_000
KEPT_BYTES = 32 * 1024
REMEMBERED_BYTES = 4 * 1024
HEADER_BYTES = 5
# How long each message may be: those of PostgreSQL's own server (PQ_LARGE_MESSAGE_LIMIT, PQ_SMALL_MESSAGE_LIMIT).
CLIENT_LIMITS = {
    **dict.fromkeys(b"QPBFd", LARGE),
    **dict.fromkeys(b"ECDfp", SMALL),
    **dict.fromkeys(b"HSXc", 4),
}
SERVER_KINDS = frozenset(b"RKSZTDCEIN123nstGHWdcAVv")


class Frames:
    """Cuts a byte stream into frames across chunks; keeps the first 32 KB of the bodies that matter.

    `feed` is the loop of each wire's reader; here is what they share: the frame that is not complete yet.
    """

    __slots__ = ("_body", "_header", "_kind", "_missing")

    def __init__(self) -> None:
        self._header = b""
        self._kind = 0
        self._missing = 0
        self._body = bytearray()

    @property
    def inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._missing or self._header)

    def _begin(self, kind: int, length: int, body: bytes) -> None:
        self._kind = kind
        self._missing = length - 4 - len(body)
        self._body = bytearray(body[:KEPT_BYTES])

    def _open_header(self, data: bytes, at: int) -> int:
        """Take what is there of a frame's first five bytes; where to go on. Raises BadBytesError."""
        taken = HEADER_BYTES - len(self._header)
        self._header += data[at : at + taken]
        if len(self._header) == HEADER_BYTES:
            header, self._header = self._header, b""
            length = LENGTH.unpack_from(header, 1)[0]
            self._check(header[0], length)
            self._begin(header[0], length, b"")
        return min(at + taken, len(data))

    def _check(self, kind: int, length: int) -> None:
        """Raises BadBytesError for a frame that cannot be."""
        raise NotImplementedError

    def _more(self, data: bytes, at: int) -> int:
        """Take what belongs to the open frame; where it ends in `data`."""
        taken = min(self._missing, len(data) - at)
        room = KEPT_BYTES - len(self._body)
        if room > 0:
            self._body += data[at : at + min(room, taken)]
        self._missing -= taken
        return at + taken


def text(body: bytes | bytearray, start: int = 0) -> tuple[bytes, int]:
    """The zero-terminated text at `start`, and where the next thing begins; to the end where it is cut."""
    end = body.find(0, start)
    return (bytes(body[start:]), len(body)) if end < 0 else (bytes(body[start:end]), end + 1)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's name and its words."""

    fingerprint: str
    label: str


@lru_cache(maxsize=4_096)
def _remembered(sql: bytes) -> Statement:
    return _named(sql)


def _named(sql: bytes) -> Statement:
    fingerprint = statement_fingerprint(sql.decode(errors="replace"))
    return Statement(fingerprint, statement_label(fingerprint))


def statement(sql: bytes) -> Statement:
    """The statement; those of usual length are remembered."""
    return _remembered(sql) if len(sql) <= REMEMBERED_BYTES else _named(sql[:KEPT_BYTES])


def sqlstate(body: bytes | bytearray) -> str:
    """The SQLSTATE in an ErrorResponse: fields of a type byte and a text."""
    at = 0
    while at < len(body) and body[at]:
        value, following = text(body, at + 1)
        if body[at] == ord("C"):
            return value.decode(errors="replace")[:5]
        at = following
    return ""


def refuse_length(kind: int, length: int) -> None:
    """Raises BadBytesError for a frame a client cannot send."""
    limit = CLIENT_LIMITS.get(kind)
    if limit is None:
        raise BadBytesError(f"no PostgreSQL message begins with byte 0x{kind:02x}")
    if not 4 <= length <= limit:
        raise BadBytesError(f"a PostgreSQL message {chr(kind)} cannot be {length} bytes long")
