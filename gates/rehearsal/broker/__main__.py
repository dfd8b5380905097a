"""`python -m gates.rehearsal.broker`: the broker as a process of its own, on 127.0.0.1 only."""

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Generator, Sequence
from decimal import Decimal
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from .control import Control
from .door import Door, utc_now
from .feed import Feed
from .history import History
from .journal import Journal
from .pulse import Pulse
from .reading import Readings
from .streams import MAXIMUM_STREAMS, Streams
from .venue import Venue
from .writing import Writings

HOST = "127.0.0.1"
GRACE_S = 1
BACKLOG = 512
KEEP_ALIVE_S = 75


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gates.rehearsal.broker", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="OANDA v20 REST and streams")
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--balance", type=Decimal, default=Decimal(100_000))
    parser.add_argument("--currency", choices=("USD", "EUR", "GBP", "JPY"), default="USD")
    parser.add_argument("--account", default="101-001-0000001-001")
    parser.add_argument("--live-account", help="a second account, of the number that an account of real money has")
    parser.add_argument("--live-balance", type=Decimal, default=Decimal(500))
    parser.add_argument("--tick-ms", type=int, default=250)
    parser.add_argument("--volatility-pips", type=float, default=1.0, help="standard deviation of one tick")
    parser.add_argument("--commission-per-million", type=Decimal, default=Decimal(0))
    parser.add_argument("--financing-hour", type=int, choices=range(24), help="book financing daily at this hour, UTC")
    parser.add_argument("--journal", type=Path, help="a folder; a broker started on it again goes on where it ended")
    parser.add_argument(
        "--streams", type=int, default=MAXIMUM_STREAMS, help=f"so many may be open at once (OANDA: {MAXIMUM_STREAMS})"
    )
    parser.add_argument("--no-feed", action="store_true", help="prices move by hand only")
    return parser.parse_args(argv)


class Server(uvicorn.Server):
    """A server that leaves the signals to us: two of them share one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def listening(port: int) -> socket.socket:
    """A socket on 127.0.0.1. Raises OSError where the port is taken."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it an answer waits 40 ms.
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    return found


def server(routes: Sequence[BaseRoute]) -> Server:
    config = uvicorn.Config(
        Starlette(routes=list(routes)),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config)


def opened_pulse(options: argparse.Namespace) -> Pulse:
    """The venue with its first prices and account, and the pulse that moves it. Raises OSError (the journal)."""
    journal = Journal(options.journal) if options.journal else None
    venue = Venue(commission_per_million=options.commission_per_million, journal=journal)
    pulse = Pulse(
        venue,
        Feed(options.seed, options.volatility_pips),
        options.tick_ms,
        running=not options.no_feed,
        financing_hour=options.financing_hour,
    )
    pulse.open_market()
    for account_id, balance in ((options.account, options.balance), (options.live_account, options.live_balance)):
        if account_id and account_id not in venue.accounts:
            venue.open_account(account_id, options.currency, balance, utc_now())
    return pulse


async def run(pulse: Pulse, token: str, sockets: tuple[socket.socket, socket.socket], *, most_streams: int) -> int:
    """Serve v20 on the first socket and control on the second until SIGTERM or SIGINT.

    A market that breaks ends the broker too: prices that silently stand still would be a lie.
    """
    door = Door(pulse.venue, token, faulty=True)
    readings, streams = Readings(door), Streams(door, most=most_streams)
    routes = [*streams.routes(), *History(readings).routes(), *Writings(door).routes(), *readings.routes()]
    control = Control(Door(pulse.venue, token, faulty=False), pulse)
    servers = [server(routes), server(control.routes())]

    def stop(*_: object) -> None:
        streams.end()
        for one in servers:
            one.should_exit = True

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    beating = asyncio.create_task(pulse.beat())
    beating.add_done_callback(stop)
    await asyncio.gather(*(one.serve(sockets=[at]) for one, at in zip(servers, sockets, strict=True)))
    if beating.done():
        beating.result()
    beating.cancel()
    return 0


def main() -> int:
    options = arguments()
    token = os.environ.get("BROKER_TOKEN", "")
    if not token:
        return refuse("BROKER_TOKEN is not set; give the broker a token in the environment")
    try:
        sockets = (listening(options.port), listening(options.control_port))
    except OSError as error:
        return refuse(f"Port {options.port} or {options.control_port} cannot be had ({error}); choose free ports")
    try:
        pulse = opened_pulse(options)
    except OSError as error:
        return refuse(f"The journal in {options.journal} cannot be written: {error}")
    gc.freeze()  # what is loaded stays: no collection need look at it, and nobody takes it apart at the end
    return asyncio.run(run(pulse, token, sockets, most_streams=options.streams))


def refuse(sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
