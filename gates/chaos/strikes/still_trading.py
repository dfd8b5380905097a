"""A target that has recovered trades on, and a restart without cause changes nothing of that."""

import time
from typing import Any

from audits.findings import Finding
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.resting import open_trades
from gates.chaos.cells.states import State, difference
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.messages import Channel, Direction, Message
from gates.chaos.strikes.receipts import words_of
from gates.chaos.strikes.settling import RECOVERY_LIMIT_S, rested, settled
from gates.chaos.strikes.shortfalls import critical, not_recovered

OPENS, CLOSES = ("open", "tradeOpened"), ("close", "tradesClosed")
READS = ("GET", "HEAD", "OPTIONS")


async def dealt_once_more(cell: Cell, before: State) -> list[Finding]:
    """What is missing of proof of life: it opens once more and closes once more, and the broker has executed both.

    It closes first where it holds something: one position at a time may be all that it takes. Executed is one order,
    which the broker may fill in slices; how many, only its clean run would tell.
    """
    for operation, part in (CLOSES, OPENS) if open_trades(before.broker) else (OPENS, CLOSES):
        answer = await cell.ask(operation)
        if not answer.success:
            return [critical("proof of life", f"{operation} is done", words_of(answer))]
        new = [record for record in (await cell.state()).broker if int(record["id"]) > before.last_transaction]
        orders = {record["orderID"] for record in new if record["type"] == "ORDER_FILL" and record.get(part)}
        if len(orders) != 1:
            return [critical("proof of life", f"1 order of {operation} filled", f"{len(orders)} were")]
    try:
        await settled(cell, time.monotonic() + RECOVERY_LIMIT_S)
    except TargetNotReadyError as error:
        return [critical("proof of life", "at rest after one more open and close", str(error))]
    return []


async def restarted_without_cause(cell: Cell, before: State) -> tuple[list[Finding], dict[str, Any]]:
    """A restart changes nothing in the books and sends nothing to the broker but questions: what it did, and the
    rows that changed.

    A target that needs it to be well again has not recovered by itself.
    """
    restarted = False
    try:
        await settled(cell, time.monotonic() + RECOVERY_LIMIT_S)
        await cell.target.end()
        for proxy in cell.wires.values():
            await proxy.control.reset()
        restarted = True
        await cell.start()
        await rested(cell, time.monotonic() + RECOVERY_LIMIT_S)
    except TargetNotReadyError as error:
        again = critical("second restart", "ready again", str(error))
        return [again if restarted else not_recovered(error, "well until it is restarted")], {}
    changes = difference(before, await cell.state())
    sent = [message.label for message in await cell.messages() if _is_write(message)]
    findings = []
    if changes:
        findings.append(critical("second restart", "no change", f"changes in {', '.join(changes)}"))
    if sent:
        findings.append(critical("second restart", "nothing sent", f"sent {', '.join(sent[:5])}"))
    return findings, changes


def _is_write(message: Message) -> bool:
    if message.channel != Channel.BROKER or message.direction != Direction.REQUEST:
        return False
    words = message.label.removeprefix("broker: ").split()
    return not words or words[0] not in READS
