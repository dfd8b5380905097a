"""The cell of a rehearsed defect: a broker of its own, and the desk started with the defect, or with none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg

from gates.chaos.cells.brokers import SimulatorError, running_simulator
from gates.chaos.cells.cell import Cell, running_cell
from gates.chaos.cells.ledgers import LedgerServer
from gates.chaos.cells.premises import Premises
from gates.chaos.cells.target import TargetNotReadyError
from gates.chaos.proxies.control import ProxyGoneError
from gates.chaos.strikes.clean_runs import NotSteadyError
from gates.targets.programs import read_program
from gates.targets.rehearsal import cell_program

UNCARRIED = (TimeoutError, SimulatorError, TargetNotReadyError, NotSteadyError, ProxyGoneError, psycopg.Error, OSError)
"""What keeps a strike from being made, and says nothing about the desk."""


@asynccontextmanager
async def desk_cell(ledger_url: str, defects: tuple[str, ...], folder: Path, *, number: int = 1) -> AsyncIterator[Cell]:
    """A cell whose desk has these defects, for as long as the block runs. `number` tells apart what runs at once."""
    program = read_program(cell_program(defects))
    async with running_simulator(folder, number=number) as simulator:
        premises = Premises(program, LedgerServer(ledger_url), simulator, folder)
        async with running_cell(premises, number) as cell:
            yield cell
