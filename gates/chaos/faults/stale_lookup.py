"""Let the broker's look-ups lag behind its orders: what was just placed is not yet found.

Only a broker knows what is young, so the bundled one does it, by its control port; the proxy sees what it answers.
"""

from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.fault import whole
from gates.chaos.messages import Strike

MAXIMUM_AGE_MS = 120_000


@dataclass(frozen=True)
class StaleLookup:
    """`age_ms`: look-ups do not see what is younger. Armed at the broker for as long as the operation lasts."""

    strike: ClassVar[Strike] = Strike.STALE_LOOKUP
    age_ms: int = 500

    def __post_init__(self) -> None:
        whole(self.age_ms, "age_ms", 1, MAXIMUM_AGE_MS)
