"""The strike that only a broker can make: its look-ups do not show yet what was just placed.

At a request the look-ups alone are stale. At an answer it is lost too: the order was accepted, nobody was told, and
whoever looks does not find it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gates.chaos.cells.cell import Cell
from gates.chaos.faults import LoseAnswer, StaleLookup
from gates.chaos.messages import Direction, Point, Receipt, Strike
from gates.chaos.proxies.events import Struck
from gates.chaos.strikes.striking import LATE_EVENT_S, STRIKE_LIMIT_S, Asked, Follow, Seen, next_event
from gates.chaos.trials import Trial


@asynccontextmanager
async def stale_lookup(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """For the length of the operation and `age_ms` more the broker's look-ups on this account miss what is younger than
    `age_ms`.
    """
    simulator = cell.premises.simulator
    if point.direction is Direction.ANSWER:
        await cell.wires[point.channel].control.arm(point, LoseAnswer(), hold_ms=trial.held_ms)
    fault: int | None = await simulator.arm(cell.account, "stale_lookup", trial.parameters)

    async def follow(asked: Asked) -> Seen:
        nonlocal fault
        lost: Struck | None = None
        if point.direction is Direction.ANSWER:
            event = await next_event(cell, asked, time.monotonic() + STRIKE_LIMIT_S, late_s=LATE_EVENT_S)
            if not isinstance(event, Struck):
                return Seen(None, time.monotonic(), "No receipt: the answer was not lost.")
            lost = event
        await asked
        over_at = time.monotonic()
        await asyncio.sleep(StaleLookup(**trial.parameters).age_ms / 1000)  # what is new is too young as long
        number, fault = fault, None
        return _seen(trial, lost, await simulator.disarm(number) if number is not None else 0, over_at)

    try:
        yield follow
    finally:
        if fault is not None:
            await simulator.disarm(fault)


def _seen(trial: Trial, lost: Struck | None, struck: int, now: float) -> Seen:
    if not struck:
        words = "Not applicable: nothing was looked up while it was too young to be seen."
        return Seen(None, now, words, applies=False)
    message = lost.receipt.message if lost else None
    proof = {"lookups_answered_stale": struck, **trial.parameters, **(dict(lost.receipt.proof) if lost else {})}
    return Seen(Receipt(trial.strike, message, now, proof), now)


STALENESS = {Strike.STALE_LOOKUP: stale_lookup}
