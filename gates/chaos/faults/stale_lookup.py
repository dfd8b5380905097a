"""Let the broker's look-ups lag behind its orders: what was just placed is not yet found.

Only a broker knows what is young, so the bundled one does it, by its control port; the proxy sees what it answers.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gates.chaos.faults.fault import whole
from gates.chaos.messages import Proof, Strike

if TYPE_CHECKING:
    import httpx

KIND = "stale_lookup"
MAXIMUM_AGE_MS = 120_000


@dataclass(frozen=True)
class StaleLookup:
    """`age_ms`: look-ups do not see what is younger. Armed at the broker for as long as the operation lasts."""

    strike: ClassVar[Strike] = Strike.STALE_LOOKUP
    age_ms: int = 500

    def __post_init__(self) -> None:
        whole(self.age_ms, "age_ms", 1, MAXIMUM_AGE_MS)

    async def arm(self, broker: "httpx.AsyncClient") -> None:
        """`broker`: a client of the simulator's control port. Raises httpx.HTTPError."""
        answer = await broker.post("/faults", json={"kind": KIND, "age_ms": self.age_ms})
        answer.raise_for_status()

    async def receipt(self, broker: "httpx.AsyncClient") -> Proof:
        """How many look-ups were answered from the past; empty where it never struck. Raises httpx.HTTPError."""
        answer = await broker.get("/faults")
        answer.raise_for_status()
        struck = int(answer.json()["struck"].get(KIND, 0))
        return {"age_ms": self.age_ms, "lookups_answered_stale": struck} if struck else {}
