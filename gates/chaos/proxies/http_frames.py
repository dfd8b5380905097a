"""HTTP/1.1 messages, read strictly as they pass (RFC 9112). Sans I/O.

Whatever two readers could take for two different messages (a length and chunks, two lengths, folded headers) is
refused.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from gates.chaos.proxies.lines import BadBytesError
from gates.chaos.proxies.safety import is_live

MAXIMUM_HEAD_BYTES = 64 * 1024
MAXIMUM_HEADERS = 200
REMEMBERED_BYTES = 4 * 1024
MAXIMUM_CHUNK_LINE = 1_024
MAXIMUM_LENGTH = 2**40
HEAD_END = b"\r\n\r\n"
STREAM_TYPES = (
    *(b"application/octet-stream", b"text/event-stream", b"application/x-ndjson", b"application/jsonl"),
    b"application/stream+json",
)

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}) ([\x21-\x7e\x80-\xff]{1,16384}) HTTP/1\.([01])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\r\n\0]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")

Headers = dict[bytes, bytes]


class Body(Protocol):
    """Finds the end of a body. `done` once it is there."""

    @property
    def done(self) -> bool: ...

    def take(self, data: bytes | bytearray, at: int, content: bytearray | None = None) -> int:
        """Read from `at`; where the body ends in `data`, or its length. `content` gets the bytes without framing.
        Raises BadBytesError.
        """


@dataclass(slots=True)
class LengthBody:
    """So many bytes."""

    left: int

    @property
    def done(self) -> bool:
        return not self.left

    def take(self, data: bytes | bytearray, at: int, content: bytearray | None = None) -> int:
        taken = min(self.left, len(data) - at)
        self.left -= taken
        if content is not None:
            content += data[at : at + taken]
        return at + taken


@dataclass(slots=True)
class EndlessBody:
    """Everything until the connection closes."""

    done: bool = False

    def take(self, data: bytes | bytearray, at: int, content: bytearray | None = None) -> int:
        if content is not None:
            content += data[at:]
        return len(data)


class ChunkedBody:
    """Chunks, each with its size in hexadecimal, and `trailers` as they came."""

    __slots__ = ("_left", "_line", "_trailers", "done", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.trailers = b""
        self._left = 0  # of a chunk and the CR LF behind it
        self._line = b""
        self._trailers = False

    def take(self, data: bytes | bytearray, at: int, content: bytearray | None = None) -> int:
        while at < len(data) and not self.done:
            if self._left:
                taken = min(self._left, len(data) - at)
                if content is not None and self._left > 2:
                    content += data[at : at + min(taken, self._left - 2)]
                self._left -= taken
                at += taken
                continue
            end = data.find(b"\n", at)
            if end < 0 or len(self._line) + end - at > MAXIMUM_CHUNK_LINE:
                self._line += data[at:]
                if len(self._line) > MAXIMUM_CHUNK_LINE:
                    raise BadBytesError("the line before an HTTP chunk does not end")
                return len(data)
            line, self._line = self._line + data[at : end + 1], b""
            at = end + 1
            self._line_read(line)
        return at

    def _line_read(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise BadBytesError("a line of an HTTP chunk ends without CR")
        if self._trailers:
            self.done = line == b"\r\n"
            self.trailers += b"" if self.done else line
            if len(self.trailers) > MAXIMUM_HEAD_BYTES:
                raise BadBytesError(f"the trailers of an answer are longer than {MAXIMUM_HEAD_BYTES} bytes")
            return
        size = line.split(b";")[0].strip(b" \t\r\n")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,10}", size):
            raise BadBytesError("an HTTP chunk has no size")
        if int(size, 16) == 0:
            self._trailers = True
        else:
            self._left = int(size, 16) + 2


@dataclass(frozen=True, slots=True)
class Head:
    """The start line and headers of one message; names of headers in lower case, repeated ones joined by commas.

    `last` says that the connection ends after this message, `is_stream` that its lines come one by one.
    """

    raw: bytes
    method: str
    target: str
    status: int
    minor: int
    headers: Headers
    last: bool = False
    is_stream: bool = False

    def has(self, name: bytes, token: bytes) -> bool:
        """Whether a comma-separated header holds a word."""
        return token in {part.strip().lower() for part in self.headers.get(name, b"").split(b",")}


def request_head(raw: bytes) -> Head:
    """The head of a request; a client says the same again and again. Raises BadBytesError."""
    return _remembered_request(raw) if len(raw) <= REMEMBERED_BYTES else _request_head(raw)


def answer_head(raw: bytes) -> Head:
    """The head of an answer. Raises BadBytesError."""
    return _remembered_answer(raw) if len(raw) <= REMEMBERED_BYTES else _answer_head(raw)


@lru_cache(maxsize=1_024)
def _remembered_request(raw: bytes) -> Head:
    return _request_head(raw)


@lru_cache(maxsize=1_024)
def _remembered_answer(raw: bytes) -> Head:
    return _answer_head(raw)


def _request_head(raw: bytes) -> Head:
    lines = raw.removesuffix(HEAD_END).split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(lines[0])
    if found is None:
        raise BadBytesError("an HTTP request does not begin with a method, a target and HTTP/1.1")
    headers = _headers(lines[1:])
    is_told = found[1] == b"CONNECT"  # it is refused in an answer
    if not is_told and is_live(headers.get(b"host", b"").decode("latin-1")):
        raise BadBytesError("a request to a live broker: chaos never stands before one")
    return _told(Head(raw, found[1].decode(), found[2].decode("latin-1"), 0, int(found[3]), headers))


def _answer_head(raw: bytes) -> Head:
    lines = raw.removesuffix(HEAD_END).split(b"\r\n")
    found = _STATUS_LINE.fullmatch(lines[0])
    if found is None:
        raise BadBytesError("the server's answer does not begin with HTTP/1.1 and a status")
    return _told(Head(raw, "", "", int(found[2]), int(found[1]), _headers(lines[1:])))


def _told(head: Head) -> Head:
    """What follows from the headers, worked out once."""
    last = head.has(b"connection", b"close") or (head.minor == 0 and not head.has(b"connection", b"keep-alive"))
    kind = head.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    return replace(head, last=last, is_stream=kind in STREAM_TYPES and head.has(b"transfer-encoding", b"chunked"))


def request_body(head: Head) -> Body:
    """Raises BadBytesError."""
    return _chunked_or_length(head) or LengthBody(0)


def answer_body(head: Head, method: str) -> Body:
    """The body of an answer to `method` (RFC 9112, 6.3). Raises BadBytesError."""
    if method == "HEAD" or head.status in {204, 304} or head.status < 200:
        return LengthBody(0)
    return _chunked_or_length(head) or EndlessBody()


def _chunked_or_length(head: Head) -> Body | None:
    coding, length = head.headers.get(b"transfer-encoding"), head.headers.get(b"content-length")
    if coding is not None:
        if length is not None or coding.lower() != b"chunked":
            raise BadBytesError("an HTTP message has a length and a coding, or a coding other than chunked")
        return ChunkedBody()
    if length is None:
        return None
    lengths = {part.strip() for part in length.split(b",")}
    if len(lengths) != 1 or not re.fullmatch(rb"\d{1,13}", min(lengths)) or int(min(lengths)) > MAXIMUM_LENGTH:
        raise BadBytesError("the length of an HTTP message is not one number")
    return LengthBody(int(min(lengths)))


def _headers(lines: list[bytes]) -> Headers:
    if len(lines) > MAXIMUM_HEADERS:
        raise BadBytesError(f"an HTTP message has more than {MAXIMUM_HEADERS} headers")
    headers: Headers = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise BadBytesError("a line among HTTP headers is none")
        name = found[1].lower()
        headers[name] = headers[name] + b"," + found[2] if name in headers else found[2]
    return headers


def without(raw: bytes, names: frozenset[bytes], host: bytes | None) -> bytes:
    """The head without those headers, and with another Host where one is given."""
    lines = raw.removesuffix(HEAD_END).split(b"\r\n")
    kept = [line for line in lines[1:] if line.partition(b":")[0].lower() not in names]
    if host is not None:
        kept = [b"Host: " + host, *(line for line in kept if line.partition(b":")[0].lower() != b"host")]
    return b"\r\n".join([lines[0], *kept]) + HEAD_END
