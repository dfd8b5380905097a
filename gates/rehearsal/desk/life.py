"""The desk's life: from what it is told at its start until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys

from gates.rehearsal.desk.desk import Desk
from gates.rehearsal.desk.settings import Settings, read_settings
from gates.rehearsal.desk.web import Face

CANNOT_START = 2


def main() -> int:
    """Plant what it is told to, then run; 2 and one sentence where it cannot start."""
    settings = read_settings(sys.argv[1:], os.environ)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if (settings.defects or settings.build) and not _planted(settings.defects, settings.build):
        return CANNOT_START
    try:
        asyncio.run(_run(settings))
    except OSError as error:
        sys.stderr.write(f"port {settings.port} cannot be had ({error}); choose a free one\n")
        return CANNOT_START
    return 0


async def _run(settings: Settings) -> None:
    """The loops and the face, until it is told to end. Raises OSError where the port is taken."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, told.set)
    desk = Desk(settings)
    async with desk.running(), Face(desk).shown(settings.port):
        await told.wait()


def _planted(names: tuple[str, ...], build: str) -> bool:
    """Plant the defects, or what this build has; False and a sentence for what is unknown. A clean desk never loads
    the catalogue."""
    from gates.rehearsal.defects.planting import UnknownDefectError, defects_of, plant  # noqa: PLC0415

    try:
        for name in names or defects_of(build):
            plant(name)
    except UnknownDefectError as unknown:
        sys.stderr.write(f"{unknown}\n")
        return False
    return True
