"""A request of a target, read whole before anything of it passes."""

from dataclasses import dataclass

from gates.chaos.proxies import http_frames as frames
from gates.chaos.proxies.lines import BadBytesError

MAXIMUM_REQUEST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request; `rest` is what came behind it already."""

    head: frames.Head
    whole: bytes
    rest: bytes


class RequestReader:
    """`feed` gives a request once it is complete; `continues` says that the client waits to be told to go on."""

    def __init__(self) -> None:
        self._raw = bytearray()
        self._at = 0
        self._head: frames.Head | None = None
        self._body: frames.Body = frames.LengthBody(0)

    def __len__(self) -> int:
        return len(self._raw)

    @property
    def continues(self) -> bool:
        head = self._head
        return head is not None and head.has(b"expect", b"100-continue") and len(self._raw) == len(head.raw)

    def feed(self, data: bytes) -> Request | None:
        """Raises BadBytesError."""
        self._raw += data
        if self._head is None:
            self._head = self._read_head()
        if self._head is None:
            return None
        self._at = self._body.take(self._raw, self._at)
        if not self._body.done:
            if len(self._raw) > MAXIMUM_REQUEST_BYTES:
                raise BadBytesError(f"a request is longer than {MAXIMUM_REQUEST_BYTES} bytes")
            return None
        read = Request(self._head, bytes(self._raw[: self._at]), bytes(self._raw[self._at :]))
        self._raw, self._head = bytearray(), None
        return read

    def _read_head(self) -> frames.Head | None:
        end = self._raw.find(frames.HEAD_END)
        if end < 0:
            if len(self._raw) > frames.MAXIMUM_HEAD_BYTES:
                raise BadBytesError(f"the head of a request is longer than {frames.MAXIMUM_HEAD_BYTES} bytes")
            return None
        self._at = end + len(frames.HEAD_END)
        head = frames.request_head(bytes(self._raw[: self._at]))
        self._body = frames.request_body(head)
        return head
