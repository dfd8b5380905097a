"""The cell of a rehearsed defect: a broker of its own, and the desk started with the defect, or with none."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg

from gates.chaos.cells.brokers import Simulator, SimulatorError
from gates.chaos.cells.cell import Cell, running_cell
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.ports import reserved_port
from gates.chaos.cells.premises import Premises
from gates.chaos.cells.processes import OwnedProcess
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.proxies.control import ProxyGoneError
from gates.chaos.strikes.clean_runs import NotSteadyError
from gates.targets.programs import read_program
from gates.targets.rehearsal import cell_broker, cell_program

UNCARRIED = (TimeoutError, SimulatorError, TargetNotReadyError, NotSteadyError, ProxyGoneError, psycopg.Error, OSError)
"""What keeps a strike from being made, and says nothing about the desk."""


@asynccontextmanager
async def desk_cell(ledger_url: str, defects: tuple[str, ...], folder: Path, *, number: int = 1) -> AsyncIterator[Cell]:
    """A cell whose desk has these defects, for as long as the block runs. `number` tells apart what runs at once."""
    program = read_program(cell_program(defects))
    token = secrets.token_urlsafe(16)
    with reserved_port(2 * number) as api, reserved_port(2 * number + 1) as control:
        ports = (api, control)
    broker = cell_broker(ports, token)
    process = OwnedProcess.start(broker.argv, env=os.environ | broker.env, log=folder / "broker.log")
    try:
        urls = (f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
        async with Simulator(*urls, token) as simulator:
            await simulator.wait_ready()
            premises = Premises(program, LedgerServer(ledger_url), simulator, folder)
            async with running_cell(premises, number) as cell:
                yield cell
    finally:
        await process.kill()
        process.close()
