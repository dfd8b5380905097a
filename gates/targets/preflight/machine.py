"""What the machine must have: disk for snapshots and cells, ports for their processes."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gates.chaos.cells.ports import FIRST_PORT, LAST_PORT
from gates.targets.preflight.need import Need

GROUP = "machine"
LEAST_FREE = 2 * 2**30
LEAST_PORTS = 100
LOOKED_AT = 400


def machine(home: Path) -> Iterator[Need]:
    """Look at disk and ports of this machine."""
    for name, place in (("disk for evidence", home), ("disk for cells", Path(tempfile.gettempdir()))):
        yield disk(name, place)
    free = sum(_is_free(port) for port in range(FIRST_PORT, FIRST_PORT + LOOKED_AT))
    words = f"{free} of {LOOKED_AT} looked at are free, from {FIRST_PORT} to {LAST_PORT}"
    if free < LEAST_PORTS:
        words += ": end what holds them, cells need some"
    yield Need(GROUP, "ports for cells", free >= LEAST_PORTS, words)


def disk(name: str, place: Path) -> Need:
    """Whether there is room at a place."""
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    words = f"{free / 2**30:.1f} GiB free at {place}"
    if free < LEAST_FREE:
        return Need(GROUP, name, False, f"{words}, at least {LEAST_FREE / 2**30:.0f}: make room there")
    return Need(GROUP, name, True, words)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
