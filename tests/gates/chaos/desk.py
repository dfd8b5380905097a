"""The desk in a cell of its own, with the broker, the ledger and the proxies that it stands on."""

from contextlib import asynccontextmanager

from gates.chaos.cells.cell import running_cell
from gates.chaos.engine.running import running_premises


@asynccontextmanager
async def running_desk(spec, folder):
    """The cell that a target of this description runs in."""
    async with running_premises(spec, folder) as premises, running_cell(premises, 1) as cell:
        yield cell
