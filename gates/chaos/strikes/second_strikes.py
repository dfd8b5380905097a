"""Depth 2: a second strike, at each message of the recovery from a first one.

A recovery that marks its work done before it has done it shows only here. The second strike is always a kill, made at
the messages that two recoveries from the same durable state sent in the same order. It keeps its receipt only if they
have come in that order again by then, from the same durable state: so it is shown to be the same moment, and no other
of the same words.

A recovery is over once its books are right, as after a first strike: a target that says at once that it is well may
look only at its next turn for what it has missed, and is struck at that too.

A target may send nothing by itself once it is started: then it is asked whether it is well, and what it sends for that
is struck. Where it sends nothing for that either, and is well, there is nothing to strike.
"""

import asyncio
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass

from audits.verdicts import Verdict
from gates.chaos.baseline import Baseline, Recording, agreeing, baseline, same_beginning
from gates.chaos.cells.cell import Cell
from gates.chaos.cells.digests import digest_of
from gates.chaos.cells.noise import SILENCE, Noise
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.faults import KillAfter, KillBefore
from gates.chaos.messages import Point, Strike
from gates.chaos.proxies.events import Held, Missed, Struck
from gates.chaos.strikes.clean_runs import TIMES_AT_MOST, NotSteadyError
from gates.chaos.strikes.invariants import Clean
from gates.chaos.strikes.recovery import JUDGED_AGAIN_S, Course, judged
from gates.chaos.strikes.settling import RECOVERY_LIMIT_S, REST_S, settled
from gates.chaos.strikes.shortfalls import may_come_right
from gates.chaos.strikes.striking import Seen, Unwritten, at_its_message, kill_at, make_strike, on_the_wire
from gates.chaos.trials import Then, Trial

OTHER_STATE = "The first kill left another durable state than the one whose recovery was recorded."
LATE_S = 3.0  # a background message may come a little after the recovery is over


@dataclass(frozen=True, slots=True)
class Recovery:
    """The messages of a recovery, and the durable state that it begins from.

    `asked` says that the target sends them only once it is asked whether it is well. Where there are none, it was shown
    twice that it sends none until it is well, and that it changes nothing.
    """

    state: str
    baseline: Baseline
    asked: bool = False

    @property
    def silent(self) -> bool:
        """Whether there is nothing to strike."""
        return not self.baseline.points

    def then(self, point: Point, strike: Strike) -> Then:
        """A second strike at one of its messages."""
        return Then(point, strike, self.baseline.script, self.state, self.asked)


async def record_recovery(cell: Cell, trial: Trial, clean: Clean, state: str = "") -> Recovery:
    """Make a kill and record the recovery from `state`, or from the one that it leaves first, until two agree, at most
    TIMES_AT_MOST times; the messages that both hold. One counts only if right after it the books are right and the
    target is well, and one without messages only if it has changed nothing. Raises NotSteadyError.
    """
    recordings: defaultdict[tuple[bool, bool], list[Recording]] = defaultdict(list)  # if it was asked, if it sent any
    missed = ""
    for _ in range(TIMES_AT_MOST):
        await cell.reset()
        before = await cell.state()
        await cell.start()
        hit = await make_strike(cell, trial, on_the_wire, script=clean.script, journal=Unwritten())
        if hit.receipt is None:
            missed = f" The first strike did not always come again: {hit.seen.missed}"
            continue
        left = await digest_of(cell, clean.noise)
        state = state or left
        if left != state:
            missed = f" {OTHER_STATE}"
            continue
        exact = await digest_of(cell)
        try:
            whole, asked = await _recorded(cell, Course(trial, hit, clean, before, Unwritten()))
            unwell = await cell.target.unwell()
        except TargetNotReadyError as error:
            missed = f" One never came to its end: {error}"
            continue
        if unwell:  # it only paused: what it still sends is missing
            missed = f" One was recorded before it was over: {unwell}"
            continue
        if not whole.messages and await digest_of(cell) != exact:
            missed = " One sent nothing, and changed what the target keeps."
            continue
        like = recordings[asked, bool(whole.messages)]
        like.append(whole)
        agreed = agreeing(like, same_beginning)
        if agreed is not None and (whole.messages or len(recordings) == 1):  # nothing, and never anything else
            return Recovery(state, baseline(agreed), asked)
    words = f"No two of {sum(map(len, recordings.values()))} recoveries sent the same messages in the same order"
    raise NotSteadyError(f"{words}, so that no second strike could be shown to be at its message.{missed}")


async def strike_recovery(cell: Cell, then: Then, noise: Noise = SILENCE) -> Seen:
    """Start the killed target again, and kill it at a message of its recovery, shown to be the one recorded."""
    if await digest_of(cell, noise) != then.state:
        return Seen(None, time.monotonic(), OTHER_STATE)
    for proxy in cell.wires.values():
        await proxy.control.reset()
    fault = KillBefore() if then.strike is Strike.KILL_BEFORE else KillAfter()
    wire = cell.wires[then.point.channel].control
    await wire.arm(then.point, fault)
    try:
        cell.launch()
        seen = await _awaited(cell, asked=then.asked)
        recording = Recording.since(Counter(), await cell.messages())
        return at_its_message(seen, recording, then.script, since="the target was started again")
    finally:
        await wire.disarm()


async def _recorded(cell: Cell, course: Course) -> tuple[Recording, bool]:
    """Start a killed target: what it sends, and whether it had to be asked for that. Raises TargetNotReadyError."""
    for proxy in cell.wires.values():
        await proxy.control.reset()
    cell.launch()
    asked = not await cell.spoken()
    if asked:
        await cell.target.wait_ready(cell.premises.program.start_limit_s)
    await settled(cell, time.monotonic() + RECOVERY_LIMIT_S, ask_health=False)
    await _books_right(cell, course)
    return Recording.since(Counter(), await cell.messages()), asked


async def _books_right(cell: Cell, course: Course) -> None:
    """Wait until the target rests with its books right, for which it has its time. Raises TargetNotReadyError."""
    last = time.monotonic() + cell.premises.program.catch_up_s
    await cell.quiet(REST_S)
    while (found := await judged(cell, course)).verdict != Verdict.PASSED:
        if time.monotonic() > last or not may_come_right(found.findings):
            raise TargetNotReadyError(f"Its books were not right: {found.reason}")
        await asyncio.sleep(JUDGED_AGAIN_S)
        await cell.quiet(REST_S)


async def _awaited(cell: Cell, *, asked: bool) -> Seen:
    """Wait for the second strike, as long as a recovery may take, and a little longer once it is over."""
    over = asyncio.create_task(_over(cell, asked=asked))
    try:
        while True:
            coming = asyncio.create_task(cell.events.get())
            await asyncio.wait((coming, over), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                return Seen(None, time.monotonic(), "No receipt: the moment never came.")
            _, event = coming.result()
            if isinstance(event, Held):
                if outlived := await kill_at(cell, event):
                    return Seen(None, time.monotonic(), outlived)
            elif isinstance(event, Struck):
                return Seen(event.receipt, time.monotonic())
            elif isinstance(event, Missed):
                return Seen(None, time.monotonic(), f"No receipt: {event.reason}.", event.applicable, event.message)
    finally:
        over.cancel()


async def _over(cell: Cell, *, asked: bool) -> None:
    """Until the recovery is over at the latest, and a little longer."""
    with suppress(TargetNotReadyError):
        if asked:
            await cell.target.wait_ready(cell.premises.program.start_limit_s)
        elif not await cell.spoken():
            return
        await settled(cell, time.monotonic() + RECOVERY_LIMIT_S, ask_health=False)
    await asyncio.sleep(cell.premises.program.catch_up_s + LATE_S)
