"""Whether this machine has what cells are made of: the target's program, and a server for the copies of its books."""

import os
import shutil
import socket
from pathlib import Path

import psycopg

from gates.chaos.cells.ledgers import LedgerServer
from gates.targets.access import TargetUnreachableError
from gates.targets.programs import Program


def demand_program(program: Program) -> None:
    """Refuse a program that is not on this machine: each strike would break, and cost its crash point an attempt.

    What a cell fills in first, `{cell_folder}` say, is not looked for. Raises TargetUnreachableError.
    """
    word, folder = program.command[0], program.folder or "."
    if "{" in word or "{" in folder:
        return
    where = f"not on this machine, {socket.gethostname()}"
    if not Path(folder).is_dir():
        raise TargetUnreachableError(f"[process] folder, {folder}, is {where}.")
    path = program.environment.get("PATH", os.environ.get("PATH"))
    if shutil.which(str(Path(folder) / word) if "/" in word else word, path=path) is None:
        raise TargetUnreachableError(f"[process] command begins with {word}, which is {where} or cannot be executed.")


async def demand_server(ledgers: LedgerServer) -> None:
    """Drop what dead engines of this machine left on it. Raises TargetUnreachableError where it does not answer."""
    try:
        await ledgers.sweep()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise TargetUnreachableError(
            f"The server for the copies, {ledgers.address}, cannot be used: {reason}"
        ) from error
