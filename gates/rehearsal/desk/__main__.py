"""`python -m gates.rehearsal.desk`: runs the desk until SIGTERM or SIGINT."""

import logging
import os
import sys

import uvicorn

from gates.rehearsal.defects.planting import UnknownDefectError, plant
from gates.rehearsal.desk.desk import Desk
from gates.rehearsal.desk.settings import read_settings
from gates.rehearsal.desk.web import build_application

CANNOT_START = 2


def main() -> None:
    """Plants what it is told to, then starts the web server; everything else lives inside it."""
    settings = read_settings(sys.argv[1:], os.environ)
    try:
        for name in settings.defects:
            plant(name)
    except UnknownDefectError as unknown:
        sys.stderr.write(f"{unknown}\n")
        sys.exit(CANNOT_START)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvicorn.run(
        build_application(Desk(settings)),
        host="127.0.0.1",
        port=settings.port,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
