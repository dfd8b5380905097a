"""A cell of its own, tried once: the target's program starts, is ready, does each operation, dies of a kill, starts
again and stops.

All of it against a broker simulator and a copy of the ledger's database, through the proxies that gate 2 strikes with.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import psycopg

from audits.verdicts import Verdict
from gates.chaos.cells.beginnings import is_refusal
from gates.chaos.cells.brokers import SimulatorError
from gates.chaos.cells.cell import Cell, running_cell
from gates.chaos.cells.folders import private_folder
from gates.chaos.cells.target import OutlivedError, TargetNotReadyError
from gates.chaos.engine.running import running_premises
from gates.chaos.messages import Channel
from gates.chaos.proxies.control import ProxyGoneError
from gates.chaos.safety import UnsafeError
from gates.targets.access import TargetUnreachableError
from gates.targets.asks import OPERATIONS
from gates.targets.preflight.need import Need, first_line

GROUP = "program in a cell"
LIMIT_S = 240.0
ORDER = ("open", "partial_fill", "margin_update", "reconcile", "replay", "close")
BROKEN = (TargetUnreachableError, UnsafeError, SimulatorError, ProxyGoneError, psycopg.Error, OSError, ValueError)
BACK_S = 2.0  # as long as a supervisor or a restart policy takes to start again what has died
ALONE = (
    "let [process] command be the program itself, in the foreground. A kill ends docker run (with --init too), docker "
    "exec, ssh or a daemon's parent alone, and a supervisor starts again what was killed"
)
MORE = ", or lead it there by [chaos] hosts or [[chaos.files]]"
PLACES = {Channel.LEDGER: ("{ledger_url}", "books"), Channel.BROKER: ("{broker_url}", "broker")}


def tried(spec: Mapping[str, Any]) -> list[Need]:
    """Try a cell, within LIMIT_S. Call it from the main thread: children are bound to the thread that starts them."""
    return asyncio.run(_tried(spec))


async def _tried(spec: Mapping[str, Any]) -> list[Need]:
    found: list[Need] = []
    try:
        async with asyncio.timeout(LIMIT_S):
            with private_folder() as folder:
                async with running_premises(dict(spec), folder) as premises, running_cell(premises, 1) as cell:
                    async for need in _looks(cell):
                        found.append(need)
    except TimeoutError:
        found.append(Need(GROUP, "time", False, f"not done within {LIMIT_S:.0f} s: look at what was slow above"))
    except BROKEN as error:
        found.append(Need(GROUP, "cell", False, _words(error)))
    return found


def _words(error: BaseException) -> str:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{first_line(error)}: let the user of [chaos] ledger create databases"
    return first_line(error)


async def _looks(cell: Cell) -> AsyncIterator[Need]:
    simulator, ledgers = cell.premises.simulator, cell.premises.ledgers
    await simulator.open_account(cell.account)
    cell.database = await ledgers.create("kept", template=cell.premises.template)
    yield Need(GROUP, "copy of the books", True, f"a database made on {ledgers.host}:{ledgers.port}")
    started = await _started(cell, "starts")
    yield started
    if not started.met:
        return
    for operation in ORDER:
        yield await _asked(cell, operation)
        if operation == "open":
            yield await _asked_again(cell)
    await cell.quiet()
    for channel in (Channel.LEDGER, Channel.BROKER):
        yield await _passed(cell, channel)
    audited = await cell.audited()
    sentence = next((found.sentence for found in audited.findings), next(iter(audited.reasons), ""))
    met = True if audited.verdict == Verdict.PASSED else None if audited.verdict == Verdict.INCONCLUSIVE else False
    yield Need(GROUP, "books afterwards", met, "every check passed" if met else f"{audited.verdict}: {sentence[:300]}")
    killed = await _killed(cell)
    yield killed
    if not killed.met:
        return
    yield await _started(cell, "starts again")
    yield await _stopped(cell)


async def _started(cell: Cell, name: str) -> Need:
    try:
        took_ms = await cell.start()
    except TargetNotReadyError as error:
        step = "see [process] command, environment and ready; its last words are above"
        return Need(GROUP, name, False, f"{first_line(error)}: {step}"[:600])
    except OSError as error:
        return Need(GROUP, name, False, f"{error.strerror or error}: correct [process] command and folder")
    return Need(GROUP, name, True, f"ready in {took_ms / 1000:.1f} s")


async def _asked(cell: Cell, operation: str) -> Need:
    if operation not in cell.premises.program.operations:
        words = f"add {operation} to [operations]: without it gate 2 stays inconclusive"
        return Need(GROUP, f"operation {operation}", False, words)
    answer = await cell.ask(operation)
    if answer.success:
        return Need(GROUP, f"operation {operation}", True, f"done in {answer.took_ms:.0f} ms")
    said = answer.body.get("error") or answer.body.get("detail") or dict(answer.body)
    how = "no answer" if answer.status is None else f"answered {answer.status}"
    return Need(GROUP, f"operation {operation}", False, f"{how}, {said}: see [operations] {operation}"[:500])


async def _asked_again(cell: Cell) -> Need:
    """A second position: gate 2 strikes from two, or from one where the target refuses another."""
    name, ask = "second position", cell.premises.program.operations.get("open")
    if ask is None:
        return Need(GROUP, name, None, "nothing asks for one")
    answer = await cell.ask("open")
    if answer.success:
        return Need(GROUP, name, True, "opened: gate 2 strikes from two")
    if is_refusal(ask, answer):
        words = "refused: struck from one, nothing shows a close that is done twice, and the report says so"
        return Need(GROUP, name, True, words)
    how = "no answer" if answer.status is None else f"answered {answer.status}"
    return Need(GROUP, name, False, f"{how}: let a target of one position at a time say no by a 4xx or an exit code")


async def _passed(cell: Cell, channel: Channel) -> Need:
    place, word = PLACES[channel]
    count = sum(message.channel is channel for message in await cell.messages())
    name = f"proxy to the {word}"
    if count:
        return Need(GROUP, name, True, f"{count} messages went through it")
    return Need(GROUP, name, False, f"nothing went through it: give the program {place} in [process] environment{MORE}")


async def _killed(cell: Cell) -> Need:
    """Kill it as a strike does: a while later nothing of it lives on, and nobody has started it again."""
    name = "dies of a kill"
    if not cell.target.alive:
        return _had_ended(cell, name)
    try:
        death = await cell.target.kill()
    except (OutlivedError, TimeoutError):
        return Need(GROUP, name, False, f"{await _left(cell) or 'what it started does not die'}: {ALONE}")
    await asyncio.sleep(BACK_S)
    if left := await _left(cell):
        return Need(GROUP, name, False, f"{left}: {ALONE}")
    return Need(GROUP, name, True, f"in {death.took_ms / 1000:.1f} s, and nothing of it lives on")


async def _left(cell: Cell) -> str:
    """What is seen of a program that was killed: at its port, where it says that it is ready, and at the proxies."""
    if listener := _listener(cell):
        return listener
    if await cell.target.still_answers():
        return "somebody still answers in its place"
    for channel, (_, word) in PLACES.items():
        if (await cell.wires[channel].control.status()).clients:
            return f"somebody still holds a connection to the {word}"
    return ""


def _had_ended(cell: Cell, name: str) -> Need:
    return Need(GROUP, name, False, f"it had ended by itself: {cell.target.last_words(200)}")


async def _stopped(cell: Cell) -> Need:
    if not cell.target.alive:
        return _had_ended(cell, "stops")
    death = await cell.target.end()
    limit_s = cell.premises.program.stop_limit_s
    if death.signal == "SIGKILL":
        words = f"it ignored SIGTERM for {limit_s:g} s and was killed: let it end, or raise [process] stop_limit_s"
        return Need(GROUP, "stops", False, words)
    taken = _listener(cell)
    if taken:
        return Need(GROUP, "stops", False, f"{taken}: what it forked must end with it")
    return Need(GROUP, "stops", True, f"in {death.took_ms / 1000:.1f} s, asked by {death.signal}")


def _listener(cell: Cell) -> str:
    """Who still holds its port: a child that it left behind, say, out of its own process group."""
    left = cell.target.still_listening()
    if left is None:
        return ""
    return f"its port is still taken by {f'process {left}' if left else 'another user'}"


assert set(ORDER) == set(OPERATIONS)  # noqa: S101  an operation that is not tried would go unseen
