"""The requests PostgreSQL still has to answer, in order, and what it says about the oldest."""

import asyncio
from collections import deque
from collections.abc import Callable

from gates.chaos.proxies import pg_answers as marks
from gates.chaos.proxies.exchanges import Exchange
from gates.chaos.proxies.lines import BadBytesError
from gates.chaos.proxies.pg_answers import Answers
from gates.chaos.proxies.pg_requests import FLUSH, UNNAMED, Requests

MAXIMUM_OUTSTANDING = 100_000
FLUSHED = (FLUSH, UNNAMED)
OF_MESSAGES = (marks.COMPLETE, marks.COPY_IN, marks.ERROR)


class Outstanding:
    """An answer is complete at ReadyForQuery; at CopyInResponse; behind a Flush, when each message has its own.

    `refused` is called with each SQLSTATE.
    """

    def __init__(self, requests: Requests, answers: Answers, refused: Callable[[str], None]) -> None:
        self.queue: deque[Exchange] = deque()
        self.all_answered: asyncio.Future[None] | None = None
        self._requests = requests
        self._answers = answers
        self._refused = refused
        self._tag = ""
        self._error = ""

    @property
    def head(self) -> Exchange | None:
        return self.queue[0] if self.queue else None

    @property
    def owed(self) -> bool:
        """Whether the server has to answer anything that is a message."""
        return any(exchange.kind != UNNAMED for exchange in self.queue)

    def expect(self, exchange: Exchange) -> None:
        """The server will answer it after those it already has to answer. Raises BadBytesError."""
        if not exchange.answers:
            return
        if len(self.queue) >= MAXIMUM_OUTSTANDING:
            raise BadBytesError(f"more than {MAXIMUM_OUTSTANDING} requests wait for an answer")
        if exchange.kind in FLUSHED:
            self._answers.counting = True
        self.queue.append(exchange)

    def follow(self, mark: marks.Mark) -> Exchange | None:
        """What a message of the server means; the exchange that it completes. Raises BadBytesError."""
        _end, kind, said = mark
        if kind == marks.COMPLETE:
            self._tag = said
        elif kind == marks.ERROR:
            self.error(said)
        elif kind == marks.READY:
            return self._ready(said)
        elif kind == marks.COPY_BOTH:
            raise BadBytesError("replication is not relayed")
        head = self._head_of(kind)
        if head is None:
            return None
        if kind == marks.COPY_IN:
            self._requests.begin_copy(head)
            self._tag = "COPY"
            return self.complete("")
        if head.kind in FLUSHED:
            head.expects -= 1
            if kind == marks.ERROR or head.expects <= 0:
                return self._counted(head)
        return None

    def _counted(self, head: Exchange) -> Exchange | None:
        """All that it expected has come; None where it is no message."""
        if head.kind == FLUSH:
            return self.complete("")
        self._take()
        return None

    def _head_of(self, kind: int) -> Exchange | None:
        """The oldest; the oldest message where that alone is answered so, and what is before it is skipped or done."""
        while kind in OF_MESSAGES and self.head is not None and self.head.kind == UNNAMED:
            self._take()
        return self.head

    def _ready(self, status: str) -> Exchange | None:
        while self.queue and self.queue[0].kind in FLUSHED:  # skipped by the server after an error
            self._counted(self.queue[0])
        if self.queue:
            return self.complete(status)
        self._tag = self._error = ""  # of a COPY that was refused before its end came
        return None

    def error(self, sqlstate: str) -> None:
        """The server answers with an error."""
        self._error = sqlstate
        self._requests.end_copy()
        self._refused(sqlstate)

    def complete(self, status: str, tag: str = "") -> Exchange:
        """The answer to the oldest is complete, `status` being that of the transaction (I, T, E)."""
        exchange = self._take()
        said = f"ERROR {self._error}" if self._error else (tag or self._tag)
        exchange.outcome = f"{said} {status}".strip()
        self._tag = self._error = ""
        return exchange

    def _take(self) -> Exchange:
        """The oldest, which waits no longer."""
        exchange = self.queue.popleft()
        if not self.queue:
            self._answers.counting = False
            self.wake()
        return exchange

    def wake(self) -> None:
        """Nobody needs to wait for answers any longer."""
        if self.all_answered is not None and not self.all_answered.done():
            self.all_answered.set_result(None)
