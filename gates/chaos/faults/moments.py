"""What a fault may do with the message it strikes. The proxies implement it once, for all wires."""

from typing import Protocol

from gates.chaos.messages import Direction, Message, Proof, Strike

ANSWER_LIMIT_S = 30.0


class MissedError(Exception):
    """The fault could not be proven to strike; the message says why. It never gives a receipt."""


class NotApplicableError(MissedError):
    """The fault cannot strike a message of this kind at all."""


class Moment(Protocol):
    """One message standing at the proxy, complete and not yet passed on."""

    @property
    def message(self) -> Message: ...

    @property
    def backend_pid(self) -> int | None:
        """The pid of the PostgreSQL backend behind this connection; None for a broker."""

    async def whole_answer(self, limit_s: float = ANSWER_LIMIT_S) -> str:
        """Pass a request on and keep its answer, complete, at the proxy; the outcome in words.

        At an answer that answer stands here already. Raises MissedError where no answer came in time, and
        NotApplicableError where none is due.
        """

    def deliver(self) -> None:
        """Pass on what stands here: the request to the server, or the answer to the target."""

    def deliver_instead(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Answer a request in the server's place, which never sees it. Raises NotApplicableError."""

    async def owner_decides(self, strike: Strike) -> Proof:
        """Tell the owner that the message is held and wait for the decision; what the owner has to say of it.

        Raises MissedError where nobody decides in time, and at a kill where whoever sent the message outlives it.
        """

    def stop(self) -> None:
        """Let nothing more pass on this connection, either way, until the fault is over."""

    async def hung_up(self, limit_s: float) -> bool:
        """Wait until the target itself ends its connection; False where it does not in time."""

    def drop_client(self, *, reset: bool) -> int:
        """Forget what stands here and end the target's connection, by RST or by FIN; its own port, as proof."""

    async def close_server(self) -> bool:
        """Close the server's connection once its answers are in; False where they did not come in time."""

    def keep_server(self) -> None:
        """Leave the server's connection open with nobody behind it. Raises NotApplicableError where there is none."""

    async def kept_server(self, keep_ms: int) -> float:
        """Wait for so long while the server's connection is open; for how many milliseconds it was.

        Raises MissedError where the server ended it meanwhile.
        """

    async def server_gone(self, limit_s: float) -> str:
        """Wait until the server ended the connection; the SQLSTATE it sent, empty without one.

        Raises MissedError where it does not.
        """

    async def refuse_connections(self, duration_ms: int, within_ms: int) -> int:
        """Cut the channel's connections and refuse new ones, for `duration_ms` from the first that is asked for; how
        many were cut.

        Raises NotApplicableError where nobody asks for one `within_ms`.
        """


def needs(direction: Direction, message: Message, strike: Strike) -> None:
    """Raises NotApplicableError where the message does not go that way."""
    if message.direction is not direction:
        raise NotApplicableError(f"{strike} strikes {direction}s only, and {message.label} is none")
