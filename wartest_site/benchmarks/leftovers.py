"""What strikes hold and must give back: processes, ports, databases, file descriptors. Linux only."""

import os
from dataclasses import dataclass

import psutil

from gates.chaos.cells.ledgers import LedgerServer


@dataclass(frozen=True, slots=True)
class Held:
    """What this process and all that it started hold at one moment."""

    processes: int
    ports: int
    databases: int
    descriptors: int

    def since(self, before: "Held") -> dict[str, float]:
        """How much more it is than before, by name; never below zero."""
        names = ("processes", "ports", "databases", "descriptors")
        return {name: float(max(0, getattr(self, name) - getattr(before, name))) for name in names}


async def held(ledgers: LedgerServer) -> Held:
    """Count the children of this process, the ports that it and they listen on, its descriptors, its cells' databases.

    PostgreSQL's own processes come and go with its sessions: they are left out.
    """
    me = psutil.Process()
    children = [child for child in me.children(recursive=True) if not _is_of_postgres(child)]
    return Held(
        processes=len(children),
        ports=sum(_listening(process) for process in (me, *children)),
        databases=len(await ledgers.mine()),
        descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208  names are all that is needed
    )


def _is_of_postgres(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("postgres")
    except psutil.NoSuchProcess:
        return True


def _listening(process: psutil.Process) -> int:
    try:
        return sum(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp"))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
