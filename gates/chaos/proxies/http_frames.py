"""HTTP/1.1 messages, read strictly as they pass (RFC 9112). Sans I/O.

Whatever two readers could take for two different messages (a length and chunks, two lengths, folded headers) is
refused.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from gates.chaos.proxies.lines import BadBytesError

MAXIMUM_HEAD_BYTES = 64 * 1024
MAXIMUM_HEADERS = 200
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
    """Chunks, each with its size in hexadecimal, and trailers."""

    __slots__ = ("_left", "_line", "_trailers", "done")

    def __init__(self) -> None:
        self.done = False
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
            return
        size = line.split(b";")[0].strip(b" \t\r\n")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,10}", size):
            raise BadBytesError("an HTTP chunk has no size")
        if int(size, 16) == 0:
            self._trailers = True
        else:
            self._left = int(size, 16) + 2


@dataclass(slots=True)
class Head:
    """The start line and headers of one message; names of headers in lower case, repeated ones joined by commas."""

    raw: bytes
    method: str
    target: str
    status: int
    minor: int
    headers: Headers

    def has(self, name: bytes, token: bytes) -> bool:
        """Whether a comma-separated header holds a word."""
        return token in {part.strip().lower() for part in self.headers.get(name, b"").split(b",")}

    @property
    def last(self) -> bool:
        """Whether the connection ends after this message."""
        return self.has(b"connection", b"close") or (self.minor == 0 and not self.has(b"connection", b"keep-alive"))

    @property
    def is_stream(self) -> bool:
        """Whether its lines come one by one, for as long as they come."""
        kind = self.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        return kind in STREAM_TYPES and self.has(b"transfer-encoding", b"chunked")


def request_head(raw: bytes) -> Head:
    """Raises BadBytesError."""
    lines = raw.removesuffix(HEAD_END).split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(lines[0])
    if found is None:
        raise BadBytesError("an HTTP request does not begin with a method, a target and HTTP/1.1")
    headers = _headers(lines[1:])
    return Head(raw, found[1].decode(), found[2].decode("latin-1"), 0, int(found[3]), headers)


def answer_head(raw: bytes) -> Head:
    """Raises BadBytesError."""
    lines = raw.removesuffix(HEAD_END).split(b"\r\n")
    found = _STATUS_LINE.fullmatch(lines[0])
    if found is None:
        raise BadBytesError("the server's answer does not begin with HTTP/1.1 and a status")
    return Head(raw, "", "", int(found[2]), int(found[1]), _headers(lines[1:]))


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
