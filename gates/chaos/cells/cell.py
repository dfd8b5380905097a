"""A cell: an isolated copy of a target that can be put back to the same state again and again.

```
operation ──► target's process ──HTTP──────► proxy ──► broker simulator, an account of the cell's own
                     └───────────PostgreSQL► proxy ──► ledger database of the cell's own
```
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import psycopg
from psycopg.rows import TupleRow

from gates.chaos.baseline import Kind, kind_of
from gates.chaos.cells.auditing import Audited, Books, audit
from gates.chaos.cells.beginnings import HOLDING, begin
from gates.chaos.cells.hiding import password_of
from gates.chaos.cells.ports import reserved_port
from gates.chaos.cells.premises import AUTHORITY, Premises, boundaries
from gates.chaos.cells.rest import CellRest
from gates.chaos.cells.resting import open_trades
from gates.chaos.cells.states import State, read_ledger
from gates.chaos.cells.target import Answer, OutlivedError, TargetNotReadyError, TargetProcess
from gates.chaos.cells.ways import OwnFolder, ledger_parts
from gates.chaos.messages import Channel, Direction, Message, Point
from gates.chaos.proxies.events import Event
from gates.chaos.proxies.launching import Proxy, running_proxy
from gates.targets.kinds.bounded_logs import keep_small

READY_LIMIT_S = 30.0
MOST_CELLS = 64
QUIET_S = 0.1
QUIET_PAUSE_S = 0.03
QUIET_LIMIT_S = 10.0
BACKGROUND_LIMIT_S = 3.0


class Cell:
    """One copy of the target. `prepare` makes the state that every `reset` goes back to.

    A `patient` one is struck only right after its background has spoken.
    """

    def __init__(
        self, premises: Premises, number: int, wires: dict[Channel, Proxy], port: int, rest: CellRest | None = None
    ) -> None:
        self.premises = premises
        self.account = f"101-001-{number:07}-001"
        self.wires = wires
        self.events: asyncio.Queue[tuple[Channel, Event]] = asyncio.Queue()
        self.target = TargetProcess(premises.program, premises.folder / f"cell-{number}.log")
        self.folder = OwnFolder(premises.folder / f"cell-{number}", premises.ways)
        self.rest = rest
        self.database: str | None = None
        self.prepared: str | None = None
        self.operation = ""
        self.patient = False
        self.experiment_mark = secrets.token_hex(8)  # of all that an experiment starts, so that a heal can name it
        self._port = port
        self._kept: str | None = None
        self._direct: psycopg.AsyncConnection[TupleRow] | None = None

    async def prepare(self, state: str) -> None:
        """Start from nothing, do what leads to the state, stop, and keep that state.

        Raises TargetNotReadyError when the target does not start or cannot come to it.
        """
        if self.prepared == state:
            return
        await self._clear()
        await self._drop_kept()
        self.folder.empty()
        simulator, ledgers = self.premises.simulator, self.premises.ledgers
        await simulator.open_account(self.account)
        self.database = await ledgers.create("kept", template=self.premises.template)
        await self.start()
        await begin(self.target, state)
        await self.quiet()
        if state == HOLDING and not open_trades(await simulator.transactions(self.account)):
            raise TargetNotReadyError("The target said that it opened a position, and holds none at the broker.")
        await self.target.end()
        for proxy in self.wires.values():
            await proxy.control.reset()
        await simulator.keep(self.account)
        self.folder.keep()
        await self._let_go()
        self._kept, self.database, self.prepared = self.database, None, state

    async def reset(self) -> None:
        """Kill what runs and go back to the prepared state; the target does not run afterwards."""
        if self._kept is None:
            raise TargetNotReadyError("The cell was never prepared.")
        await self._clear()
        self.target.forget()
        self.folder.go_back()
        await self.premises.simulator.go_back(self.account)
        self.database = await self.premises.ledgers.create("run", template=self._kept)
        await self._serve()

    async def start(self) -> float:
        """Start the target and wait until it is ready; the milliseconds that took. Raises TargetNotReadyError."""
        await self._serve()
        self.launch()
        return await self.target.wait_ready(self.premises.program.start_limit_s)

    async def spoken(self) -> bool:
        """Wait until the target has sent a first message, without asking it anything; False if that never comes."""
        deadline = time.monotonic() + READY_LIMIT_S
        while time.monotonic() < deadline:
            if any([(await proxy.control.status()).recorded for proxy in self.wires.values()]):
                await self.quiet()
                return True
            await asyncio.sleep(QUIET_PAUSE_S)
        return False

    def launch(self) -> None:
        """Start the target's process on the cell's database and account."""
        places = self._places()
        self.folder.lay(places, self.wires[Channel.BROKER].host)
        self.target.program = self.folder.led(self.premises.program.filled(places), places)
        self.target.ledger_url, self.target.secrets = self.ledger_url, self.secrets
        self.target.start()

    def _places(self) -> dict[str, str]:
        """What the program's texts and files are filled with."""
        broker, ledger = self.wires[Channel.BROKER], self.wires[Channel.LEDGER]
        ledger_url = self.premises.ledgers.url_of(self._database, port=ledger.port)
        if self.rest is not None:
            ledger_url = f"http://{ledger.host}:{ledger.port}"
        address = f"http://{broker.host}:{broker.port}"
        return ledger_parts(ledger_url) | {
            "ledger_url": ledger_url,
            "broker_url": address,
            "broker_host": broker.host,
            "broker_port": str(broker.port),
            "proxy_url": address,
            "account": self.account,
            "token": self.premises.simulator.token,
            "port": str(self._port),
            "cell_folder": str(self.folder.path),
            "ca_file": str(self.premises.folder / AUTHORITY / "ca.pem"),
        }

    async def ask(self, operation: str) -> Answer:
        """Ask the target for an operation."""
        return await self.target.ask(operation)

    async def messages(self) -> tuple[Message, ...]:
        """Everything recorded on both boundaries since the last reset, in order of time."""
        recordings = [await proxy.control.recording() for proxy in self.wires.values()]
        return tuple(sorted((one for each in recordings for one in each), key=lambda message: message.at_s))

    async def answer_to(self, request: Message) -> Message | None:
        """The answer to a request, once it was given; a proxy notes an answer before it passes it on."""
        answer = Point(request.channel, Direction.ANSWER, request.fingerprint, request.occurrence)
        return next((message for message in await self.messages() if message.point == answer), None)

    async def quiet(self, for_s: float = QUIET_S) -> Counter[Kind]:
        """Wait until nothing has passed for so long, at most QUIET_LIMIT_S; what has passed by then, by kind."""
        deadline = time.monotonic() + QUIET_LIMIT_S
        before, since = -1, time.monotonic()
        while time.monotonic() < deadline:
            passed = sum([(await proxy.control.status()).recorded for proxy in self.wires.values()])
            if passed != before:
                before, since = passed, time.monotonic()
            elif time.monotonic() - since >= for_s:
                messages = await self.messages()
                if len(messages) == passed:  # nothing came while they were read
                    return Counter(map(kind_of, messages))
            await asyncio.sleep(QUIET_PAUSE_S)
        return Counter(map(kind_of, await self.messages()))

    async def quiet_after_background(self) -> Counter[Kind]:
        """As `quiet`, right after the background has spoken again: so its next turn is as far away as can be.

        A background that says nothing for BACKGROUND_LIMIT_S is not waited for.
        """
        known = await self.quiet()
        deadline = time.monotonic() + BACKGROUND_LIMIT_S
        while time.monotonic() < deadline and len(await self.messages()) == known.total():
            await asyncio.sleep(QUIET_PAUSE_S)
        return await self.quiet()

    async def direct(self) -> psycopg.AsyncConnection[TupleRow]:
        """A session of ours on the cell's database, past the proxy, in autocommit. Raises psycopg.Error."""
        if self._direct is None or self._direct.closed:
            self._direct = await psycopg.AsyncConnection.connect(self.ledger_url, autocommit=True, connect_timeout=5)
        return self._direct

    async def state(self) -> State:
        """The durable state, read past the proxies."""
        ledger = await read_ledger(await self.direct(), self.premises.schema)
        return State(ledger, tuple(await self.premises.simulator.transactions(self.account)))

    async def audited(self) -> Audited:
        """The full audit of the books as they are."""
        simulator = self.premises.simulator
        books = Books(self.ledger_url, self.premises.schema, simulator.url, self.account, simulator.token)
        return await asyncio.to_thread(audit, books, self.premises.folder)

    @property
    def ledger_url(self) -> str:
        """The cell's database, past the proxy."""
        return self.premises.ledgers.url_of(self._database)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What the target was given and nobody else may read in what it says."""
        return (*self.premises.program.secrets, password_of(self.ledger_url), self.premises.simulator.token)

    @property
    def _database(self) -> str:
        if self.database is None:
            raise TargetNotReadyError("The cell has no ledger yet: prepare or reset it first.")
        return self.database

    async def close(self) -> None:
        """Give everything back: process, databases, folder; what cannot be given back keeps nothing else."""
        async with AsyncExitStack() as after:
            after.callback(self.folder.remove)
            after.push_async_callback(self.target.close)
            after.push_async_callback(self._drop_kept)
            await self._clear()

    async def _clear(self) -> None:
        try:
            if self.target.process is not None:
                with suppress(OutlivedError):
                    await self.target.kill()
            for proxy in self.wires.values():
                await proxy.control.reset()
            while not self.events.empty():
                self.events.get_nowait()
        finally:
            await self._let_go()
            if self.database is not None:
                await self.premises.ledgers.drop(self.database)
                self.database = None

    async def _let_go(self) -> None:
        """End our own session and the PostgREST: a database that is copied or dropped must have none."""
        if self.rest is not None:
            await self.rest.end()
        connection, self._direct = self._direct, None
        if connection is not None:
            await connection.close()

    async def _serve(self) -> None:
        if self.rest is not None:
            await self.rest.serve(self.ledger_url)

    async def _drop_kept(self) -> None:
        self.prepared = None
        if self._kept is not None:
            await self.premises.ledgers.drop(self._kept)
            self._kept = None


@asynccontextmanager
async def running_cell(premises: Premises, number: int) -> AsyncIterator[Cell]:
    """A cell with its two proxies for as long as the block runs; nothing is left of it afterwards.

    Raises UnsafeError where the machine does not allow the program hosts of its own.
    """
    rest = premises.ways.postgrest
    with reserved_port(number) as port, reserved_port(number + MOST_CELLS) as rest_port:
        ports = (port, rest_port)
    async with AsyncExitStack() as stack:
        wires = {
            channel: await stack.enter_async_context(running_proxy(wire, upstream, *options, folder=premises.folder))
            for channel, (wire, upstream, *options) in boundaries(premises, ports[1]).items()
        }
        server = CellRest(rest, ports[1], premises.folder / f"cell-{number}-rest.log") if rest else None
        cell = Cell(premises, number, wires, ports[0], server)
        listening = [asyncio.create_task(_listen(cell, channel)) for channel in wires]
        listening.append(asyncio.create_task(keep_small(cell.target.log)))
        try:
            yield cell
        finally:
            try:
                await cell.close()
            finally:
                for task in listening:
                    task.cancel()


async def _listen(cell: Cell, channel: Channel) -> None:
    async for event in cell.wires[channel].control.events():
        cell.events.put_nowait((channel, event))
