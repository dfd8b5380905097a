"""The section `[chaos.timeouts]` of a target's description."""

from typing import Annotated

from pydantic import Field

from gates.chaos.timeouts import LEAST_MS, MOST_MS
from gates.targets.text_kinds import Section

Milliseconds = Annotated[int, Field(ge=LEAST_MS, le=MOST_MS)]


class Timeouts(Section):
    """The target's own timeouts, so that scenarios 9 and 12 are slow below and beyond them."""

    broker_ms: Milliseconds | None = Field(None, description="how long it waits for an answer of the broker; 3000")
    ledger_ms: Milliseconds | None = Field(None, description="until it gives up a transaction of its books; 10000")
    lock_ms: Milliseconds | None = Field(None, description="how long it waits for a lock in its books; 4000")
