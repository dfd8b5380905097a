"""One round trip over HTTP, and an answer made here."""

from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from gates.chaos.proxies.exchanges import LINE, Exchange
from gates.chaos.proxies.fingerprints import request_fingerprint, request_label, stream_line_kind


@dataclass(slots=True, eq=False)
class WebExchange(Exchange):
    """`last` says that the client's connection ends after it; `complete` that the whole answer has come."""

    method: str = ""
    last: bool = False
    complete: bool = False


@lru_cache(maxsize=4_096)
def named(method: str, target: str) -> tuple[str, str]:
    """The fingerprint and the label of a request."""
    fingerprint = request_fingerprint(method, target)
    return fingerprint, request_label(fingerprint)


def stream_line(stream: WebExchange, line: bytes) -> Exchange:
    """A line of a stream as a message of its own, in a chunk of its own."""
    kind = stream_line_kind(line)
    told = Exchange(f"{stream.fingerprint} line {kind}", f"{stream.label} line {kind}", answers=False, outcome=LINE)
    told.answer = bytearray(chunk(line))
    return told


def chunk(content: bytes) -> bytes:
    """One chunk (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def plain_answer(status: int, body: bytes, headers: dict[str, str]) -> bytes:
    """A whole answer made here."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body
