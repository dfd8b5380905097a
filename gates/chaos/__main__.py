"""The engine's process: `python -m gates.chaos RUN`, started by a tick; more of them may work on the same run."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import django

CANNOT_START = 2


def main(run_id: int) -> int:
    """Work on a run until nothing of it is left. Returns 2 with one sentence where it cannot start."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    django.setup()
    from gates.chaos.cells.brokers import SimulatorError  # noqa: PLC0415
    from gates.chaos.engine import running  # noqa: PLC0415  settings must be ready first
    from gates.chaos.safety import UnsafeError  # noqa: PLC0415
    from gates.models import ChaosRun  # noqa: PLC0415
    from gates.targets.access import TargetUnreachableError  # noqa: PLC0415
    from gates.workers import identity  # noqa: PLC0415

    logging.getLogger("httpx").setLevel(logging.WARNING)
    ChaosRun.objects.filter(run_id=run_id).update(worker=identity())
    try:
        asyncio.run(_until_told(running.run_engine(run_id)))
    except (UnsafeError, TargetUnreachableError, SimulatorError) as error:
        ChaosRun.objects.filter(run_id=run_id).update(trouble=str(error))
        sys.stderr.write(f"{error}\n")
        return CANNOT_START
    except asyncio.CancelledError:
        return 0
    return 0


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Do the work; SIGTERM and SIGINT end it in order, with every process and database given back."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, task.cancel)
    await task


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
