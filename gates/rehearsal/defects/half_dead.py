"""The desk's loops end without a word; its health goes on saying that all is well.

Origin: Lean.Brokerages.TradeStation#101: fills stop coming while the heartbeats go on.
Caught by gate 1: a stop closed a trade at the broker, and the ledger is behind for good.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask, tick, wait
from gates.rehearsal.desk.desk import Desk

DIES_AFTER = 12  # transactions booked
OPENED = 4  # positions; each is four transactions: the order, its fill, its stop loss and its take profit
PAUSE_S = 0.05
follow = Desk._follow
repeat = Desk._repeat


async def _for_a_while(desk: Desk, loop: Coroutine[Any, Any, None]) -> None:
    going = asyncio.create_task(loop)
    try:
        while (desk._follower.cursor or 0) < DIES_AFTER:
            await asyncio.sleep(PAUSE_S)
    finally:
        going.cancel()
    desk._pulse.trouble = None


async def _follow(desk: Desk) -> None:
    await _for_a_while(desk, follow(desk))


async def _repeat(desk: Desk, step: Callable[[], Awaitable[None]], every_s: float) -> None:
    await _for_a_while(desk, repeat(desk, step, every_s))


DEFECT = Defect(
    name="half-dead",
    title="A process that is dead and says it is well",
    origin="Lean.Brokerages.TradeStation#101",
    gate=1,
    rules=("ledger behind the broker",),
    replaces=(Replacement(Desk, "_follow", _follow), Replacement(Desk, "_repeat", _repeat)),
    steps=(*(ask("open") for _ in range(OPENED)), wait(1), tick("EUR_USD", "1.00000", "1.00010")),
)
