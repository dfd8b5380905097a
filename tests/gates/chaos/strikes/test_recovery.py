"""After a strike nothing more may happen without cause."""

import asyncio
import time

from gates.chaos.messages import Channel, Direction, Message, Strike
from gates.chaos.strikes.clean_runs import record_clean
from gates.chaos.strikes.striking import Unwritten
from gates.chaos.strikes.trying import try_once
from gates.chaos.trials import Trial
from tests.gates.chaos.desk import running_desk

ORDER = "broker: POST orders"


async def sending_late(spec, folder):
    """A kill after which the target, started again without cause, sends an order a little after it is ready."""
    async with running_desk(spec, folder) as cell:
        clean_run = await record_clean(cell, "replay")
        start, messages, ready = cell.start, cell.messages, []

        async def started():
            took_ms = await start()
            ready.append(time.monotonic())
            return took_ms

        async def with_a_late_order():
            late = [at_s + 0.2 for at_s in ready[2:3] if time.monotonic() >= at_s + 0.2]
            sent = [Message(Channel.BROKER, Direction.REQUEST, "POST orders", 1, ORDER, at_s, 1) for at_s in late]
            return (*await messages(), *sent)

        cell.start, cell.messages = started, with_a_late_order
        trial = Trial("replay", clean_run.baseline.points[0].point, Strike.KILL_BEFORE)
        return await try_once(cell, trial, clean_run.clean, Unwritten())


def test_an_order_sent_a_little_after_a_restart_without_cause_is_found(desk_target, tmp_path):
    result = asyncio.run(sending_late(desk_target.spec, tmp_path))
    assert result.verdict == "failed"
    assert [(found.rule, found.measured) for found in result.findings] == [("second restart", f"sent {ORDER}")]
