"""What a client of PostgreSQL says, cut into units: up to a Query, a Sync, or a Flush behind an Execute."""

import re
from collections.abc import Callable

from gates.chaos.proxies.exchanges import Exchange
from gates.chaos.proxies.fingerprints import MAXIMUM_LABEL, cut
from gates.chaos.proxies.lines import BadBytesError
from gates.chaos.proxies.pg_frames import HEADER_BYTES, LENGTH, Frames, Statement, refuse_length, statement, text

QUERY, SYNC, FLUSH, CALL, DATA, COPY_END, CONNECT, CANCEL, UNNAMED = range(1, 10)
# The end of a stretch that is no message of its own, and may pass; one that `answers` is answered all the same.
PASS = Exchange("", "", answers=False, kind=UNNAMED)
UNKNOWN = Statement("EXECUTE ?", "EXECUTE of an unknown statement")
MAXIMUM_NAMES = 5_000
MAXIMUM_STATEMENTS = 10_000
ANSWERED_ONE_BY_ONE = frozenset(b"PBDEC")

_PREPARE = re.compile(rb"\s*PREPARE\s+(\"[^\"]+\"|\w+)\s*(?:\([^)]*\))?\s*AS\s+(.*)", re.IGNORECASE | re.DOTALL)
_EXECUTE = re.compile(rb"\s*EXECUTE\s+(\"[^\"]+\"|\w+)", re.IGNORECASE)


class Requests(Frames):
    """Follows named statements and portals, so that an Execute is known by its SQL."""

    __slots__ = ("_copy", "_copy_begun", "_executed", "_expects", "_mid", "_named", "_parsed", "_portals", "_prepared")

    def __init__(self) -> None:
        super().__init__()
        self._prepared: dict[bytes, Statement] = {}
        self._portals: dict[bytes, Statement] = {}
        self._named: dict[bytes, Statement] = {}
        self._executed: list[Statement] = []
        self._parsed: list[Statement] = []
        self._expects = 0
        self._copy: Exchange | None = None
        self._copy_begun = False
        self._mid = False

    @property
    def mid_unit(self) -> bool:
        """Whether something of a unit has come, and not its end."""
        return self._mid or self.inside

    def feed(self, data: bytes) -> list[tuple[int, Exchange]]:
        """Where units end in `data`, and what they are. Raises BadBytesError."""
        ends: list[tuple[int, Exchange]] = []
        at, size = 0, len(data)
        while at < size:
            if self._missing:
                at = self._more(data, at)
            elif self._header or size - at < HEADER_BYTES:
                at = self._open_header(data, at)
            else:
                kind, length = data[at], LENGTH.unpack_from(data, at + 1)[0]
                refuse_length(kind, length)
                end = at + 1 + length
                if end <= size:
                    unit = self._frame(kind, data[at + HEADER_BYTES : end])
                    at = end
                    if unit is not None:
                        ends.append((at, unit))
                    continue
                self._begin(kind, length, data[at + HEADER_BYTES :])
                return ends
            if self._kind and not self._missing and not self._header:
                kind, self._kind = self._kind, 0
                unit = self._frame(kind, self._body)
                if unit is not None:
                    ends.append((at, unit))
        return ends

    def begin_copy(self, exchange: Exchange) -> None:
        """The server has answered that it takes rows now."""
        self._copy, self._copy_begun = exchange, False

    def end_copy(self) -> None:
        """The server has answered the COPY, or refused its rows."""
        self._copy = None

    def _check(self, kind: int, length: int) -> None:
        refuse_length(kind, length)

    def _frame(self, kind: int, body: bytes | bytearray) -> Exchange | None:
        if kind in ANSWERED_ONE_BY_ONE:
            self._expects += 1
        understand = TABLE.get(kind)
        unit = understand(self, body) if understand is not None else None
        self._mid = unit is None
        return unit

    def _bind(self, body: bytes | bytearray) -> None:
        portal, at = text(body)
        _keep(self._portals, portal, self._prepared.get(text(body, at)[0], UNKNOWN))

    def _execute(self, body: bytes | bytearray) -> None:
        self._executed.append(self._portals.get(text(body)[0], UNKNOWN))
        if len(self._executed) > MAXIMUM_STATEMENTS:
            raise BadBytesError(f"more than {MAXIMUM_STATEMENTS} statements without a Sync")

    def _query(self, body: bytes | bytearray) -> Exchange:
        return self._unit(QUERY, [self._resolved(text(body)[0])])

    def _flush(self, _body: bytes | bytearray) -> Exchange:
        return self._unit(FLUSH, self._executed) if self._executed else self._only_flush()

    def _call(self, _body: bytes | bytearray) -> Exchange:
        return Exchange("FUNCTION CALL", "function call", kind=CALL)

    def _pass(self, _body: bytes | bytearray) -> Exchange:
        return PASS

    def _only_flush(self) -> Exchange:
        expects, self._expects = self._expects, 0
        return Exchange("", "", kind=UNNAMED, expects=expects) if expects else PASS

    def _parse(self, body: bytes | bytearray) -> None:
        name, at = text(body)
        parsed = self._resolved(text(body, at)[0])
        _keep(self._prepared, name, parsed)
        if len(self._parsed) < MAXIMUM_STATEMENTS:
            self._parsed.append(parsed)

    def _sync(self, _body: bytes | bytearray) -> Exchange | None:
        if self._copy is not None and self._copy.kind == SYNC:
            return None  # the server reads over it while it takes rows; the one behind CopyDone counts
        if self._executed:
            return self._unit(SYNC, self._executed)
        if self._parsed:
            prepared = [Statement(f"PREPARE {one.fingerprint}", f"PREPARE {one.label}") for one in self._parsed]
            return self._unit(SYNC, prepared)
        return self._unit(SYNC, [Statement("SYNC", "sync")])

    def _unit(self, kind: int, statements: list[Statement]) -> Exchange:
        first = statements[0]
        fingerprint, label = first.fingerprint, first.label
        if len(statements) > 1:
            fingerprint = cut("; ".join(one.fingerprint for one in statements))
            label = "; ".join(one.label for one in statements[:8])[:MAXIMUM_LABEL]
        made = Exchange(fingerprint, label, kind=kind, expects=self._expects)
        self._executed, self._parsed, self._expects = [], [], 0
        return made

    def _copy_data(self, _body: bytes | bytearray) -> Exchange:
        if self._copy is None or self._copy_begun:
            return PASS
        self._copy_begun = True
        return Exchange(f"{self._copy.fingerprint} rows", f"{self._copy.label} rows", answers=False, kind=DATA)

    def _copy_done(self, _body: bytes | bytearray) -> Exchange | None:
        return self._copy_end("done")

    def _copy_failed(self, _body: bytes | bytearray) -> Exchange | None:
        return self._copy_end("given up")

    def _copy_end(self, how: str) -> Exchange | None:
        copied, self._copy = self._copy, None
        if copied is None:
            return PASS
        ended = Statement(f"{copied.fingerprint} {how}", f"{copied.label} {how}")
        if copied.kind == SYNC:
            self._executed = [ended]  # the Sync behind it ends the unit
            return None
        return self._unit(COPY_END, [ended])

    def _resolved(self, sql: bytes) -> Statement:
        """The statement; EXECUTE by name as what PREPARE gave that name."""
        word = sql[:64].lstrip()[:8].upper()
        if word == b"EXECUTE " and (executed := _EXECUTE.match(sql)):
            return self._named.get(executed[1], UNKNOWN)
        if word == b"PREPARE " and (prepared := _PREPARE.match(sql)):
            meant = statement(prepared[2])
            _keep(self._named, prepared[1], meant)
            return Statement(f"PREPARE {meant.fingerprint}", f"PREPARE {meant.label}")
        return statement(sql)


# What each message of a client means (documentation, "Message Formats"); Describe and Close mean nothing here.
TABLE: dict[int, Callable[[Requests, bytes | bytearray], Exchange | None]] = {
    ord("P"): Requests._parse,
    ord("B"): Requests._bind,
    ord("E"): Requests._execute,
    ord("S"): Requests._sync,
    ord("Q"): Requests._query,
    ord("H"): Requests._flush,
    ord("d"): Requests._copy_data,
    ord("c"): Requests._copy_done,
    ord("f"): Requests._copy_failed,
    ord("F"): Requests._call,
    ord("X"): Requests._pass,
    ord("p"): Requests._pass,
}


def _keep(names: dict[bytes, Statement], name: bytes, meant: Statement) -> None:
    if len(names) >= MAXIMUM_NAMES and name not in names:
        del names[next(iter(names))]
    names[name] = meant
