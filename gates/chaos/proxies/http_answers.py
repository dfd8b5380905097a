"""An answer of a broker, read as it comes: its head, where its body ends, and the lines of a stream."""

from gates.chaos.proxies import http_frames as frames
from gates.chaos.proxies.lines import BadBytesError

MAXIMUM_LINE_BYTES = 1024 * 1024


class AnswerReader:
    """`head` once it is read, `done` at the end; `interim` are 1xx answers to pass on; `lines` those of a stream."""

    def __init__(self) -> None:
        self.head: frames.Head | None = None
        self.body: frames.Body = frames.LengthBody(0)
        self.interim: list[bytes] = []
        self.lines: list[bytes] | None = None
        self._raw = bytearray()
        self._line = bytearray()

    @property
    def done(self) -> bool:
        return self.head is not None and self.body.done

    @property
    def trailers(self) -> bytes:
        """What came behind the last chunk."""
        return self.body.trailers if isinstance(self.body, frames.ChunkedBody) else b""

    def feed(self, data: bytes, method: str) -> bytes | bytearray:
        """What of it may pass: nothing before the head is complete, nor of a stream. Raises BadBytesError."""
        at = 0
        if self.head is None:
            self._raw += data
            at = self._read_heads(method)
            if self.head is None:
                return b""
            data, self._raw = bytes(self._raw), bytearray()
        content = None if self.lines is None else self._line
        end = self.body.take(data, at, content)
        if end < len(data):
            raise BadBytesError("the server says more than its answer")
        if self.lines is None:
            return data
        self._cut_lines(self.lines)
        return b""

    def rest(self) -> bytes:
        """Take the beginning of a line that never ended."""
        rest, self._line = bytes(self._line), bytearray()
        return rest

    def _read_heads(self, method: str) -> int:
        """Where the body begins, once the head of the final answer is there."""
        while (end := self._raw.find(frames.HEAD_END)) >= 0:
            end += len(frames.HEAD_END)
            head = frames.answer_head(bytes(self._raw[:end]))
            if head.status == 101:
                raise BadBytesError("the server changes the protocol, which is not relayed")
            if head.status >= 200:
                self.head, self.body = head, frames.answer_body(head, method)
                self.lines = [] if head.is_stream and not self.body.done else None
                return end
            self.interim.append(head.raw)
            del self._raw[:end]
        if len(self._raw) > frames.MAXIMUM_HEAD_BYTES:
            raise BadBytesError(f"the head of an answer is longer than {frames.MAXIMUM_HEAD_BYTES} bytes")
        return 0

    def _cut_lines(self, lines: list[bytes]) -> None:
        *whole, rest = bytes(self._line).split(b"\n")
        lines.extend(line + b"\n" for line in whole)
        if rest and (self.body.done or len(rest) > MAXIMUM_LINE_BYTES):
            lines.append(rest)
            rest = b""
        self._line = bytearray(rest)
