"""What PostgreSQL answers, followed only as far as it tells where an answer ends and what it said."""

from gates.chaos.proxies.lines import BadBytesError
from gates.chaos.proxies.pg_frames import HEADER_BYTES, LARGE, LENGTH, SERVER_KINDS, Frames, sqlstate, text

Mark = tuple[int, int, str]  # where it ends, its kind, what it said

READY, COMPLETE, ERROR, COPY_IN, COPY_BOTH = (ord(kind) for kind in "ZCEGW")
MARKS = frozenset(b"ZCEGW")
# What answers Parse, Bind, Describe, Execute and Close, one each (a row description or none ends a Describe).
COUNTED = frozenset(b"123TnIs")


class Answers(Frames):
    """With `counting`, also tells of the messages that end the answer to one client message."""

    __slots__ = ("counting",)

    def __init__(self) -> None:
        super().__init__()
        self.counting = False

    def feed(self, data: bytes) -> list[Mark]:
        """The messages in `data` that say something. Raises BadBytesError."""
        marks: list[Mark] = []
        at, size = 0, len(data)
        while at < size:
            if self._missing:
                at = self._more(data, at)
            elif self._header or size - at < HEADER_BYTES:
                at = self._open_header(data, at)
            else:
                kind, length = data[at], LENGTH.unpack_from(data, at + 1)[0]
                end = at + 1 + length
                self._check(kind, length)
                if end > size:
                    self._begin(kind, length, data[at + HEADER_BYTES :])
                    return marks
                at = end
                if kind in MARKS:
                    marks.append((at, kind, _said(kind, data[end - length + 4 : end])))
                elif self.counting and kind in COUNTED:
                    marks.append((at, kind, ""))
                continue
            if self._kind and not self._missing and not self._header:
                kind, self._kind = self._kind, 0
                if kind in MARKS or (self.counting and kind in COUNTED):
                    marks.append((at, kind, _said(kind, self._body)))
        return marks

    def _check(self, kind: int, length: int) -> None:
        if kind not in SERVER_KINDS or not 4 <= length <= LARGE:
            raise BadBytesError(f"the server sent no PostgreSQL message: 0x{kind:02x}, length {length}")


def _said(kind: int, body: bytes | bytearray) -> str:
    if kind == READY:
        return chr(body[0]) if body else ""
    if kind == COMPLETE:
        return text(body)[0].decode(errors="replace")
    return sqlstate(body) if kind == ERROR else ""
