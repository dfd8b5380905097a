"""Which transactions are new, which came twice, and which the stream left out. Pure.

Rule (OANDA v20): ids of one account rise by one, and every heartbeat carries the account's `lastTransactionID`. So a
line that was dropped shows with the next line or the next heartbeat, whichever comes first.
"""

from dataclasses import dataclass

from gates.streams.lines import Heartbeat, Told


@dataclass(frozen=True, slots=True)
class Hole:
    """Transactions [first, last] that happened and were not told."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


class Continuity:
    """The last transaction up to which nothing is missing.

    A line that comes early, above a hole, is not taken: whoever mends the hole reads it again with the rest, in order.
    """

    def __init__(self, last_id: int) -> None:
        self.last_id = last_id
        self.repeated = 0

    def follow(self, line: Told | Heartbeat) -> Told | Hole | None:
        """Return the line when it is the next transaction, the hole that it shows, or None for nothing new."""
        if isinstance(line, Heartbeat):
            known = line.last_id is None or line.last_id <= self.last_id
            return None if known else Hole(self.last_id + 1, line.last_id or 0)
        if line.number <= self.last_id:
            self.repeated += 1
            return None
        if line.number > self.last_id + 1:
            return Hole(self.last_id + 1, line.number)
        self.last_id = line.number
        return line
