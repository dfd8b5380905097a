"""Answer a request in the broker's place with a refusal: the broker never sees it."""

import json
from dataclasses import dataclass
from typing import ClassVar

from gates.chaos.faults.fault import whole
from gates.chaos.faults.moments import Moment, needs
from gates.chaos.messages import Direction, Proof, Side, Strike


@dataclass(frozen=True)
class BrokerRefusal:
    """`status` (400 to 599) with the broker's kind of body; `retry_after_s` above 0 adds that header."""

    strike: ClassVar[Strike] = Strike.BROKER_REFUSAL
    freezes: ClassVar[Side | None] = None
    status: int = 503
    message: str = "Service unavailable"
    retry_after_s: int = 0

    def __post_init__(self) -> None:
        whole(self.status, "status", 400, 599)
        whole(self.retry_after_s, "retry_after_s", 0, 3_600)

    async def hit(self, moment: Moment) -> Proof:
        needs(Direction.REQUEST, moment.message, self.strike)
        headers = {"Content-Type": "application/json"}
        if self.retry_after_s:
            headers["Retry-After"] = str(self.retry_after_s)
        moment.deliver_instead(self.status, json.dumps({"errorMessage": self.message}).encode(), headers)
        return {"status": self.status}
