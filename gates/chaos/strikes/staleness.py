"""The strike that only a broker can make: its look-ups do not show yet what was just placed.

At a request the look-ups alone are stale. At an answer it is lost too: the order was accepted, nobody was told, and
whoever looks does not find it. What it struck first is then the answer lost, and else the first look-up that was stale.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gates.chaos.cells.brokers import Disarmed
from gates.chaos.cells.cell import Cell
from gates.chaos.faults import LoseAnswer, StaleLookup
from gates.chaos.messages import Channel, Direction, Point, Proof, Receipt, Strike
from gates.chaos.proxies.events import Struck
from gates.chaos.proxies.fingerprints import request_fingerprint, request_label
from gates.chaos.strikes.striking import LATE_EVENT_S, Asked, Follow, Seen, limit_of, next_event
from gates.chaos.trials import Trial

FIRST_STALE = "first_stale_lookup"


@asynccontextmanager
async def stale_lookup(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """For the length of the operation and `age_ms` more the broker's look-ups on this account miss what is younger than
    `age_ms`.
    """
    simulator = cell.premises.simulator
    if point.direction is Direction.ANSWER:
        await cell.wires[point.channel].control.arm(point, LoseAnswer(), hold_ms=trial.held_ms)
    fault, is_armed = await simulator.arm(cell.account, "stale_lookup", trial.parameters), True

    async def follow(asked: Asked) -> Seen:
        nonlocal is_armed
        began = time.monotonic()
        lost: Struck | None = None
        if point.direction is Direction.ANSWER:
            event = await next_event(cell, asked, time.monotonic() + limit_of(cell, trial), late_s=LATE_EVENT_S)
            if not isinstance(event, Struck):
                return Seen(None, time.monotonic(), "No receipt: the answer was not lost.")
            lost = event
        await asked
        over_at = time.monotonic()
        await asyncio.sleep(StaleLookup(**trial.parameters).age_ms / 1000)  # what is new is too young as long
        is_armed, stale = False, await simulator.disarm(fault)
        if not stale.struck:
            words = "Not applicable: nothing was looked up while it was too young to be seen."
            return Seen(None, over_at, words, applies=False)
        proof = {**_proof(stale, began), **trial.parameters, **(lost.receipt.proof if lost else {})}
        return Seen(Receipt(trial.strike, lost.receipt.message if lost else None, over_at, proof), over_at)

    try:
        yield follow
    finally:
        if is_armed:
            await simulator.disarm(fault)


def _proof(stale: Disarmed, began: float) -> Proof:
    """How many look-ups were answered stale; the first of them, and how long after the operation was asked for."""
    label = request_label(request_fingerprint(*stale.first.split(" ", 1)))
    return {
        "lookups_answered_stale": stale.struck,
        FIRST_STALE: f"{Channel.BROKER}: {label}",
        f"{FIRST_STALE}_after_ms": round((stale.first_at_s - began) * 1000, 1),
    }


STALENESS = {Strike.STALE_LOOKUP: stale_lookup}
