"""One strike at one moment of one operation: held, struck, proven, healed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import psycopg

from gates.chaos.baseline import ASKED, Recording, Script, absolute, wrongly_struck
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.target import Answer, OutlivedError, TargetNotReadyError
from gates.chaos.faults import fault_of
from gates.chaos.messages import Message, Point, Receipt, Strike
from gates.chaos.proxies.events import Decision, Held, Missed, Struck
from gates.chaos.strikes.outlasting import gave_up
from gates.chaos.strikes.whose_message import hold_ms, is_waited_for
from gates.chaos.trials import Trial

STRIKE_LIMIT_S = 45.0  # or as long as the operation may take, where that is longer
LATE_EVENT_S = 1.0
KNOCK_PAUSE_S = 1.0
CONNECT_LIMIT_S = 5
NONE_OPEN = "Not applicable: no connection of the target's to the server was open, so none was left half open."


@dataclass(frozen=True, slots=True)
class Seen:
    """What a strike came to: its receipt, or in words why there is none, and whether there could have been one.

    `met` is the message at which there could not. `leaves` says that something of it may be left, which no further try
    may begin beside.
    """

    receipt: Receipt | None
    struck_at: float
    missed: str = ""
    applies: bool = True
    met: Message | None = None
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A strike and the answer that the target gave to whoever had asked for the operation.

    `unsure` says that the operation sent all of its messages besides the one struck, and was not seen to wait for that
    one: either it sent it again, or the one struck was the background's and only like it. `gave_up` says in words how
    the target gave up what it was kept waiting for, see `outlasting`.
    """

    seen: Seen
    answer: Answer
    unsure: bool = False
    gave_up: str = ""

    @property
    def receipt(self) -> Receipt | None:
        """The proof that it struck."""
        return self.seen.receipt


Asked = asyncio.Task[Answer]
Follow = Callable[[Asked], Awaitable[Seen]]
"""Given the operation that is going on, follows the strike to its receipt."""
Striker = Callable[[Cell, Trial, Point], AbstractAsyncContextManager[Follow]]
"""Arms a strike at a point as the proxy counts it; whatever it holds is given back at the end of the block."""


class Journal(Protocol):
    """Where the undoing of a strike is written down before it is made. A heal is idempotent."""

    async def before(self, trial: Trial, cell: Cell) -> None:
        """Commit what must be undone."""

    async def healed(self) -> None:
        """Commit that it is undone."""

    async def reached(self, phase: str) -> None:
        """Note how far the trial has come."""


class Unwritten:
    """A journal of no memory, for a strike that nobody else could heal: what it breaks dies with this process."""

    async def before(self, trial: Trial, cell: Cell) -> None:
        """Nothing is written."""

    async def healed(self) -> None:
        """Nothing is written."""

    async def reached(self, phase: str) -> None:
        """Nothing is written."""


async def make_strike(cell: Cell, trial: Trial, striker: Striker, *, script: Script, journal: Journal) -> Hit:
    """Ask for the operation and strike it, in a cell that was reset and whose target is ready.

    1. The heal is committed. 2. The fault is armed at the point. 3. The operation is asked for.
    4. What is held is decided: a kill is confirmed first. 5. Nothing is armed any more. 6. The receipt is kept if what
    had passed until then is how the operation begins in its clean `script`: else it is another message's.

    A patient cell lets the message stand for a while before it is struck, to see whether the operation waits for it.
    """
    timeout_ms = cell.premises.patience_ms(trial.point.channel)
    if cell.patient:
        trial = replace(trial, held_ms=hold_ms(trial.strike, script, timeout_ms))
    await journal.before(trial, cell)
    await journal.reached("armed")
    known = await (cell.quiet_after_background() if cell.patient else cell.quiet())
    async with striker(cell, trial, absolute(trial.point, known)) as follow:
        asked_s = time.monotonic()
        asked = asyncio.create_task(cell.ask(trial.operation))
        try:
            seen = await follow(asked)
            answer = await asked
            answered_s = time.monotonic()
        finally:
            asked.cancel()
            await cell.wires[trial.point.channel].control.disarm()
    recording = Recording.since(known, await cell.messages())
    seen = at_its_message(seen, recording, script, began_s=asked_s)
    hurt = trial.kills or not answer.success
    told_s = asked_s + answer.took_ms / 1000
    ended = gave_up(seen.receipt, recording, answer, answered_s=told_s) if seen.receipt else ""
    return Hit(seen, answer, not hurt and _is_unsure(seen, recording, script, answered_s, timeout_ms), ended)


def _is_unsure(seen: Seen, recording: Recording, script: Script, answered_s: float, timeout_ms: int) -> bool:
    """Of an operation that was done in spite of the strike; one that was not done was hit, or waited for what was."""
    receipt = seen.receipt
    if receipt is None or receipt.message is None:
        return False
    if not recording.holds_besides(receipt.message, script.without_openings):
        return False
    struck, proof = receipt.message, receipt.proof
    return not is_waited_for(recording, struck, proof, script, answered_s=answered_s, timeout_ms=timeout_ms)


def at_its_message(
    seen: Seen, recording: Recording, script: Script, *, began_s: float = 0.0, since: str = ASKED
) -> Seen:
    """Without its receipt where the message struck is not shown to be the script's; and one that does not apply there
    may well apply at the script's. Stale look-ups strike none.
    """
    struck = seen.receipt.message if seen.receipt else seen.met
    if struck is None:
        return seen
    if struck.at_s < began_s:
        wrong = f"The wrong message was struck: it passed before {since}."
    else:
        wrong = wrongly_struck(script, recording.until(struck), since)
    return replace(seen, receipt=None, missed=wrong, applies=True) if wrong else seen


async def heal(cell: Cell, *, kills: bool) -> None:
    """Undo what the strike left: nothing is armed, no connection of a dead process is kept. Safe to repeat."""
    for proxy in cell.wires.values():
        await proxy.control.disarm()
    if kills:
        for proxy in cell.wires.values():
            await proxy.control.close_upstream()


@asynccontextmanager
async def on_the_wire(cell: Cell, trial: Trial, point: Point) -> AsyncIterator[Follow]:
    """A strike that a proxy makes by itself, or holds for us to kill or to terminate."""
    fault = fault_of(trial.strike, dict(trial.parameters))
    await cell.wires[point.channel].control.arm(point, fault, hold_ms=trial.held_ms)
    yield lambda asked: (_knocked if trial.cuts_all else _followed)(cell, trial, asked)


def limit_of(cell: Cell, trial: Trial) -> float:
    """How long its strike may take, in seconds: one that the target does by itself begins whenever it does."""
    asked_s = cell.premises.program.operations[trial.operation].limit_s
    return max(STRIKE_LIMIT_S, asked_s + LATE_EVENT_S) + trial.lasting_s


async def _knocked(cell: Cell, trial: Trial, asked: Asked) -> Seen:
    """Follow it, and ask a target that has answered whether it is well: many connect again only when they are asked."""
    knocking = asyncio.create_task(_knock(cell, asked))
    try:
        return await _followed(cell, trial, asked)
    finally:
        knocking.cancel()


async def _knock(cell: Cell, asked: Asked) -> None:
    await asyncio.wait((asked,))
    with suppress(TargetNotReadyError):
        while True:
            await asyncio.sleep(KNOCK_PAUSE_S)
            await cell.target.unwell()


async def _followed(cell: Cell, trial: Trial, asked: Asked) -> Seen:
    """Follow the proxies' events until the strike is proven, missed, or its moment never came."""
    struck_at, limit_s = time.monotonic(), limit_of(cell, trial)
    ends = struck_at + limit_s
    while time.monotonic() < ends:
        event = await next_event(cell, asked, ends, late_s=LATE_EVENT_S + trial.lasting_s)
        match event:
            case None:
                return Seen(None, struck_at, "No receipt: the moment never came.")
            case Held():
                struck_at = time.monotonic()
                if outlived := await _decide(cell, trial, event):
                    return Seen(None, struck_at, outlived)
            case Struck(receipt):
                if trial.half_open and not receipt.proof.get("left_open"):
                    return Seen(None, struck_at, NONE_OPEN, applies=False, met=receipt.message)
                return Seen(receipt, struck_at if trial.kills else time.monotonic())
            case Missed():
                return Seen(None, struck_at, f"No receipt: {event.reason}.", event.applicable, event.message)
    return Seen(None, struck_at, f"No receipt: the strike was not over within {limit_s:.0f} s.")


async def next_event(cell: Cell, asked: Asked, ends: float, *, late_s: float) -> Held | Struck | Missed | None:
    """The next event that matters; None when the operation has been over for `late_s` and nothing came."""
    while True:
        over = asked.done()
        coming = asyncio.create_task(cell.events.get())
        try:
            limit_s = late_s if over else max(0.0, ends - time.monotonic())
            waiting: set[asyncio.Task[Any]] = {coming} if over else {coming, asked}
            await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                if asked.done() and not over:
                    continue  # it has just answered: an event may still be on its way
                return None
            _, event = coming.result()
            if isinstance(event, Held | Struck | Missed):
                return event
        finally:
            coming.cancel()


async def _decide(cell: Cell, trial: Trial, held: Held) -> str:
    """Kill and discard, or terminate the backend and forward; in words why that proves nothing, if it does not."""
    if trial.strike is Strike.TERMINATE_BACKEND:
        ended = await terminate(cell.ledger_url, held.backend_pid or 0)
        await cell.wires[held.message.channel].control.decide(held.held_id, Decision.FORWARD, terminated=ended)
        return ""
    return await kill_at(cell, held, half_open=trial.half_open)


async def terminate(admin_url: str, pid: int) -> bool:
    """`pg_terminate_backend(pid)`; False where there is no such backend. Raises psycopg.Error."""
    connecting = psycopg.AsyncConnection.connect(admin_url, autocommit=True, connect_timeout=CONNECT_LIMIT_S)
    async with await connecting as connection:
        row = await (await connection.execute("SELECT pg_terminate_backend(%s)", (pid,))).fetchone()
    return bool(row and row[0])


async def kill_at(cell: Cell, held: Held, *, half_open: bool = False) -> str:
    """Kill the target while the message is held, then discard that; why there is no receipt, empty where there is."""
    wire = cell.wires[held.message.channel].control
    try:
        death = await cell.target.kill()
    except OutlivedError as error:
        await wire.decide(held.held_id, Decision.DISCARD)
        return str(error)
    if not death.by_us:
        await wire.decide(held.held_id, Decision.DISCARD)
        return "No receipt: the target had ended by itself before it was killed."
    await wire.decide(held.held_id, Decision.DISCARD, **death.shape())
    if not half_open:
        for proxy in cell.wires.values():
            await proxy.control.close_upstream()
    return ""
