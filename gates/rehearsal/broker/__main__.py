"""`python -m gates.rehearsal.broker`: the broker as a process of its own, on 127.0.0.1 only."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from .control import Control
from .door import Door, utc_now
from .feed import Feed
from .history import History
from .journal import Journal
from .pulse import Pulse
from .reading import Readings
from .streams import Streams
from .venue import Venue
from .writing import Writings

HOST = "127.0.0.1"
GRACE_S = 1
KEEP_ALIVE_S = 75


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gates.rehearsal.broker", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="OANDA v20 REST and streams")
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--balance", type=Decimal, default=Decimal(100_000))
    parser.add_argument("--currency", choices=("USD", "EUR", "GBP", "JPY"), default="USD")
    parser.add_argument("--account", default="101-001-0000001-001")
    parser.add_argument("--tick-ms", type=int, default=250)
    parser.add_argument("--volatility-pips", type=float, default=1.0, help="standard deviation of one tick")
    parser.add_argument("--commission-per-million", type=Decimal, default=Decimal(0))
    parser.add_argument("--journal", type=Path, help="a folder: every transaction is appended to a file of its account")
    parser.add_argument("--no-feed", action="store_true", help="prices move by hand only")
    return parser.parse_args(argv)


class Server(uvicorn.Server):
    """A server that leaves the signals to us: two of them share one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def server(app: Starlette, port: int) -> Server:
    config = uvicorn.Config(
        app,
        host=HOST,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config)


async def run(options: argparse.Namespace, token: str) -> int:
    """Serve both ports until SIGTERM or SIGINT; 0, or 1 where a port could not be had."""
    journal = Journal(options.journal) if options.journal else None
    venue = Venue(commission_per_million=options.commission_per_million, journal=journal)
    pulse = Pulse(venue, Feed(options.seed, options.volatility_pips), options.tick_ms, running=not options.no_feed)
    pulse.open_market()
    venue.open_account(options.account, options.currency, options.balance, utc_now())
    door = Door(venue, token, faulty=True)
    readings, streams = Readings(door), Streams(door)
    routes = [*streams.routes(), *History(readings).routes(), *Writings(door).routes(), *readings.routes()]
    control = Control(Door(venue, token, faulty=False), pulse)
    servers = [server(Starlette(routes=routes), options.port)]
    servers.append(server(Starlette(routes=control.routes()), options.control_port))

    def stop() -> None:
        streams.end()
        for one in servers:
            one.should_exit = True

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    beating = asyncio.create_task(pulse.beat())
    try:
        await asyncio.gather(*(one.serve() for one in servers))
    finally:
        beating.cancel()
    return 0


def main() -> int:
    options = arguments()
    token = os.environ.get("BROKER_TOKEN", "")
    if not token:
        sys.stderr.write("BROKER_TOKEN is not set; give the broker a token in the environment\n")
        return 2
    return asyncio.run(run(options, token))


if __name__ == "__main__":
    sys.exit(main())
