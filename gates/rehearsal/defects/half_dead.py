"""The desk's loops end without a word; its health goes on saying that all is well.

Origin: Lean.Brokerages.TradeStation#101: fills stop coming while the heartbeats go on.
Caught by gate 1: a stop closed a trade at the broker, and the ledger is behind for good.
"""

import asyncio
from collections.abc import Awaitable, Callable

from gates.rehearsal.defects.defect import Defect, Replacement, watch
from gates.rehearsal.desk.desk import Desk

DIES_AFTER_S = 3.0
follow = Desk._follow
repeat = Desk._repeat


async def _follow(desk: Desk) -> None:
    try:
        async with asyncio.timeout(DIES_AFTER_S):
            await follow(desk)
    except TimeoutError:
        desk._pulse.trouble = None


async def _repeat(desk: Desk, step: Callable[[], Awaitable[None]], every_s: float) -> None:
    try:
        async with asyncio.timeout(DIES_AFTER_S):
            await repeat(desk, step, every_s)
    except TimeoutError:
        pass


DEFECT = Defect(
    name="half-dead",
    title="A process that is dead and says it is well",
    origin="Lean.Brokerages.TradeStation#101",
    gate=1,
    rules=("ledger behind the broker",),
    replaces=(Replacement(Desk, "_follow", _follow), Replacement(Desk, "_repeat", _repeat)),
    steps=(watch(15),),
)
